# What the face detectors here have in common. The config that inherits gives network,
# resolution and data set, and adds to the pipelines what depends on them.
# unbiased: a target's move below one cell is not rounded away.
codec = dict(type='MSRAHeatmap', unbiased=True)

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    head=dict(
        type='SemanticAlignmentHead',
        out_channels=68,
        loss=dict(type='ChiSquareHeatmapLoss')))

# LoadLatentTargets does nothing without LatentTargetHook, so that plain training
# and semantic alignment share the pipeline.
train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLatentTargets'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(type='RandomBBoxTransform', shift_factor=0.08),
    dict(type='TopdownAffine'),
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget'),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine'),
    dict(type='PackPoseInputs'),
]
train_dataloader = dict(
    batch_size=16,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True))
val_dataloader = dict(
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(test_mode=True))
test_dataloader = val_dataloader
