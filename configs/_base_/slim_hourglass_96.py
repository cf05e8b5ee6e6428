# One narrow hourglass for 68-point faces, 96 x 96 input, 48 x 48 heatmaps: it
# trains on a CPU. Works at a quarter of the input's resolution and doubles it at
# the end. The data set is left to the config that inherits.
codec = dict(
    type='MSRAHeatmap',
    input_size=(96, 96),
    heatmap_size=(48, 48),
    sigma=1.5,
    unbiased=True,
    blur_kernel_size=7)

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='SlimHourglassNet',
        stem_stride=4,
        num_stacks=1,
        downsample_times=3,
        stage_channels=(48, 64, 96, 128),
        stage_blocks=(1, 1, 1, 1),
        feat_channel=48),
    head=dict(
        type='SemanticAlignmentHead',
        in_channels=48,
        out_channels=68,
        num_stages=1,
        deconv_out_channels=(48, ),
        deconv_kernel_sizes=(4, ),
        loss=dict(type='ChiSquareHeatmapLoss'),
        # What the heatmap says; LatentTargetHook's consensus weighs it against
        # the annotation.
        search=dict(sigma_prior=8.0, sigma_likelihood=0.5),
        decoder=codec),
    test_cfg=dict(flip_test=False))

# LoadLatentTargets does nothing without LatentTargetHook, so that plain training
# and semantic alignment share the pipeline.
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
    dict(type='TopdownAffine', input_size=codec['input_size']),
    dict(type='PhotometricDistortion'),
    dict(type='GenerateTarget', encoder=codec),
    dict(type='PackPoseInputs'),
]
val_pipeline = [
    dict(type='LoadImage'),
    dict(type='GetBBoxCenterScale'),
    dict(type='TopdownAffine', input_size=codec['input_size']),
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
