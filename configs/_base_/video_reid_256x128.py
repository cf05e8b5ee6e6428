# Video re-identification: images of tracklets, pooled in testing. A data set
# that inherits gives its type and folder.
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
        # Neighbouring frames hardly differ.
        tracklet_stride=8,
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(128, 256)),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='RandomCrop', crop_size=(256, 128), padding=10),
            dict(type='PackInputs'),
        ]))
val_dataloader = dict(
    batch_size=256,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        split='test',
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(128, 256)),
            dict(
                type='PackInputs',
                meta_keys=('img_path', 'camera_id', 'tracklet_id', 'role')),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(type='TrackletRetrievalMetric', topk=(1, 5, 10, 20))
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='reid/CMC-1'))

train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=10)
val_cfg = dict()
test_cfg = dict()
optim_wrapper = dict(
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=1e-4),
    # The embedding (fc in InceptionV3) and the class context start from nothing.
    paramwise_cfg=dict(
        custom_keys=dict(head=dict(lr_mult=10), fc=dict(lr_mult=10))))
param_scheduler = dict(
    type='CosineAnnealingLR',
    begin=0,
    end=30,
    eta_min_ratio=0.01,
    by_epoch=True,
    convert_to_iter_based=True)
