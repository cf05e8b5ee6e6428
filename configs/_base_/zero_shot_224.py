# Zero-shot retrieval of photographs. A data set that inherits gives its type and
# folder; with crop=True it gives the object's box, too, for CropToBox.
_base_ = 'retrieval_runtime.py'

train_dataloader = dict(
    # The paper's batch size; how it is made up is ours.
    batch_size=54,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(
        type='IdentityBalancedSampler',
        num_classes_per_batch=18,
        num_samples_per_class=3,
        seed=0),
    dataset=dict(
        split='train',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='CropToBox'),
            dict(
                type='RandomResizedCrop',
                scale=224,
                crop_ratio_range=(0.2, 1.0)),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='PackInputs'),
        ]))
val_dataloader = dict(
    batch_size=64,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        split='test',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='CropToBox'),
            dict(type='ResizeEdge', scale=256, edge='short'),
            dict(type='CenterCrop', crop_size=224),
            dict(type='PackInputs'),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(type='SelfRetrievalMetric', topk=(1, 2, 4, 8, 16, 32))
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=5)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=3e-5, weight_decay=1e-4),
    # The embedding (fc in InceptionV3) and the class context start from nothing.
    paramwise_cfg=dict(
        custom_keys=dict(head=dict(lr_mult=10), fc=dict(lr_mult=10))))
param_scheduler = dict(
    type='CosineAnnealingLR',
    begin=0,
    end=60,
    eta_min_ratio=0.01,
    by_epoch=True,
    convert_to_iter_based=True)
