# One narrow hourglass, 128 x 128 input, 64 x 64 heatmaps: trains on a CPU.
codec = dict(
    type='MSRAHeatmap',
    input_size=(128, 128),
    heatmap_size=(64, 64),
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
        stem_stride=2,
        num_stacks=1,
        downsample_times=4,
        stage_channels=(32, 48, 48, 64, 64),
        stage_blocks=(1, 1, 1, 1, 1),
        feat_channel=32),
    head=dict(
        type='CPMHead',
        in_channels=32,
        out_channels=68,
        num_stages=1,
        loss=dict(type='KeypointMSELoss', use_target_weight=True),
        decoder=codec),
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))
