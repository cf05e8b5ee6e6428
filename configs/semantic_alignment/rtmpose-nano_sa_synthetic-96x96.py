# A thin RTMPose at 96 px on procedural faces: it trains on a CPU. The backbone ends at
# a stride of 8, so that 12 x 12 cells are left, as many as a 384 px input leaves at 32.
_base_ = [
    '../_base_/alignment_68.py',
    '../_base_/runtime_small.py',
    '../_base_/synthetic_96.py',
]

codec = dict(
    type='SimCCLabel', input_size=(96, 96), sigma=3.46, normalize=False)
model = dict(
    backbone=dict(
        _delete_=True,
        _scope_='mmdet',
        type='CSPNeXt',
        arch_ovewrite=[[64, 128, 3, True, False], [128, 256, 6, True, False]],
        deepen_factor=0.167,
        widen_factor=0.25,
        out_indices=(2, ),
        norm_cfg=dict(type='BN')),
    head=dict(
        _delete_=True,
        type='SemanticAlignmentRTMCCHead',
        in_channels=64,
        out_channels=68,
        input_size=codec['input_size'],
        in_featuremap_size=(12, 12),
        final_layer_kernel_size=7,
        loss=dict(type='KLDiscretLoss', beta=10., label_softmax=True),
        decoder=codec))

*steps, target, pack = _base_.train_pipeline
train_pipeline = [*steps, dict(target, encoder=codec), pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
optim_wrapper = dict(
    # RTMPose's 4e-3 is for batches of 1,024; a batch of 16 can collapse with it.
    optimizer=dict(_delete_=True, type='AdamW', lr=2e-3, weight_decay=0.),
    clip_grad=dict(max_norm=35))
# RTMPose learns more slowly than heatmaps.
warm_up, decay = _base_.param_scheduler
param_scheduler = [warm_up, dict(decay, end=30)]
train_cfg = dict(max_epochs=30, val_interval=5)

custom_hooks = [
    dict(type='SyncBuffersHook'),
    dict(_base_.latent_target_hook, start=15)
]
