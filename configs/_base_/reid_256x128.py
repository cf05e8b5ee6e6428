# Re-identification: images of tracklets, pooled in testing, or single images. A data
# set that inherits gives its type and folder.
_base_ = 'retrieval_benchmark.py'

train_dataloader = dict(
    dataset=dict(
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='Resize', scale=(128, 256)),
            dict(type='RandomFlip', prob=0.5, direction='horizontal'),
            dict(type='RandomCrop', crop_size=(256, 128), padding=10),
            dict(type='PackInputs'),
        ]))
val_dataloader = dict(
    batch_size=256,
    dataset=dict(
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

train_cfg = dict(by_epoch=True, max_epochs=30, val_interval=10)
optim_wrapper = dict(optimizer=dict(lr=1e-4))
param_scheduler = dict(end=30)
