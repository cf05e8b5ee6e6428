_base_ = [
    '../_base_/default_runtime.py',
    '../_base_/models/slim_hourglass_128.py',
    '../_base_/datasets/synthetic_faces_128.py',
]

train_cfg = dict(max_epochs=24, val_interval=2)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=100, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=24,
        eta_min_ratio=0.02,
        by_epoch=True,
        convert_to_iter_based=True),
]
