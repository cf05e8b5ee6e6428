# 68-point faces at 128 px. LoadLatentTargets does nothing without
# LatentTargetHook, so that plain training and semantic alignment share this.
_codec = dict(
    type='MSRAHeatmap',
    input_size=(128, 128),
    heatmap_size=(64, 64),
    sigma=1.5,
    unbiased=True,
    blur_kernel_size=7)
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLatentTargets'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.08,
        scale_factor=(0.85, 1.15),
        rotate_factor=30),
    dict(type='TopdownAffine', input_size=_codec['input_size']),
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=_codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=_codec['input_size']),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(test_mode=True, pipeline=val_pipeline))
test_dataloader = dict(
    batch_size=32,
    num_workers=1,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(test_mode=True, pipeline=val_pipeline))
val_evaluator = dict(
    type='FaceNME', norms=('inter_ocular', 'inter_pupil'))
test_evaluator = val_evaluator
