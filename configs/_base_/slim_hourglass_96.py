# One narrow hourglass for 68-point faces, 96 x 96 input, 48 x 48 heatmaps: it
# trains on a CPU. Works at a quarter of the input's resolution and doubles it at
# the end. The data set is left to the config that inherits.
_base_ = 'face_detector.py'

codec = dict(
    _base_.codec,
    input_size=(96, 96),
    heatmap_size=(48, 48),
    sigma=1.5,
    blur_kernel_size=7)

model = dict(
    backbone=dict(
        type='SlimHourglassNet',
        stem_stride=4,
        num_stacks=1,
        downsample_times=3,
        stage_channels=(48, 64, 96, 128),
        stage_blocks=(1, 1, 1, 1),
        feat_channel=48),
    head=dict(
        in_channels=48,
        num_stages=1,
        deconv_out_channels=(48, ),
        deconv_kernel_sizes=(4, ),
        decoder=codec),
    test_cfg=dict(flip_test=False))

added = dict(
    RandomBBoxTransform=dict(scale_factor=(0.85, 1.15), rotate_factor=30),
    TopdownAffine=dict(input_size=codec['input_size']),
    GenerateTarget=dict(encoder=codec))
train_pipeline = [dict(step, **added.get(step.type, {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **added.get(step.type, {})) for step in _base_.val_pipeline]
del added
train_dataloader = dict(num_workers=1, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=32, num_workers=1, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
val_evaluator = dict(
    type='FaceNME', norms=('inter_ocular', 'inter_pupil'))
test_evaluator = val_evaluator
