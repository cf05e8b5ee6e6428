_base_ = [
    '../_base_/runtime_small.py',
    '../_base_/synthetic_96.py',
]

# Under 10 minutes on 2 cores.
train_cfg = dict(max_epochs=10)
param_scheduler = [
    dict(type='LinearLR', begin=0, end=60, start_factor=0.01, by_epoch=False),
    dict(
        type='CosineAnnealingLR',
        begin=0,
        end=10,
        eta_min_ratio=0.02,
        by_epoch=True,
        convert_to_iter_based=True),
]
