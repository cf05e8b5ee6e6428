# Zero-shot retrieval of photographs. A data set that inherits gives its type and
# folder; with crop=True it gives the object's box, too, for CropToBox.
_base_ = 'retrieval_benchmark.py'

train_dataloader = dict(
    dataset=dict(
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
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='CropToBox'),
            dict(type='ResizeEdge', scale=256, edge='short'),
            dict(type='CenterCrop', crop_size=224),
            # The last three of data sets with queries and a gallery.
            dict(
                type='PackInputs',
                meta_keys=('img_path', 'camera_id', 'tracklet_id', 'role')),
        ]))
test_dataloader = val_dataloader
val_evaluator = dict(type='SelfRetrievalMetric', topk=(1, 2, 4, 8, 16, 32))
test_evaluator = val_evaluator

train_cfg = dict(by_epoch=True, max_epochs=60, val_interval=5)
optim_wrapper = dict(optimizer=dict(lr=3e-5))
param_scheduler = dict(end=60)
