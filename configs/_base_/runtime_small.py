_base_ = 'default_runtime.py'

train_cfg = dict(max_epochs=20, val_interval=2)
optim_wrapper = dict(optimizer=dict(type='Adam', lr=2e-3))
param_scheduler = [
    dict(type='LinearLR', begin=0, end=60, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=20,
        eta_min_ratio=0.02,
        by_epoch=True,
        convert_to_iter_based=True),
]
