# The paper's detector: 4 stacked hourglasses, 256 x 256 heatmaps of a 256 x 256
# input, which GHCU's Table 1 implies. Every stack works at a quarter of that; two
# deconvolutions bring each stage to the full size. The data set is left to the
# config that inherits.
_base_ = 'runtime_benchmark.py'

# sigma and kernel are MMPose's 1.5 cells and 7 of 64 x 64 heatmaps, in pixels.
codec = dict(
    type='MSRAHeatmap',
    input_size=(256, 256),
    heatmap_size=(256, 256),
    sigma=6,
    unbiased=True,
    blur_kernel_size=35)

model = dict(
    type='TopdownPoseEstimator',
    data_preprocessor=dict(
        type='PoseDataPreprocessor',
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True),
    backbone=dict(
        type='HourglassNet',
        num_stacks=4,
        downsample_times=4,
        stage_channels=(256, 256, 256, 256, 256),
        stage_blocks=(1, 1, 1, 1, 1)),
    head=dict(
        type='SemanticAlignmentHead',
        in_channels=256,
        out_channels=68,
        num_stages=4,
        deconv_out_channels=(128, 64),
        deconv_kernel_sizes=(4, 4),
        loss=dict(type='ChiSquareHeatmapLoss'),
        # What the heatmap says, as in slim_hourglass_96.py; the patch has 13 x 13
        # cells here, there 3 x 3, and chi-square is their sum: 0.5 * 13 / 3.
        search=dict(sigma_prior=8.0, sigma_likelihood=2.2),
        decoder=codec),
    # A cell is a pixel: flipping needs no shift.
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))

train_pipeline = [
    dict(type='LoadImage'),
    dict(type='LoadLatentTargets'),
    dict(type='GetBBoxCenterScale'),
    dict(type='RandomFlip', direction='horizontal'),
    dict(
        type='RandomBBoxTransform',
        shift_factor=0.08,
        scale_factor=(0.75, 1.25),
        rotate_factor=40),
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
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=False,
    sampler=dict(type='DefaultSampler', shuffle=False, round_up=False),
    dataset=dict(test_mode=True, pipeline=val_pipeline))
test_dataloader = val_dataloader
