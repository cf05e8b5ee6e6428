# The paper's detector: 4 stacked hourglasses, 256 x 256 heatmaps of a 256 x 256
# input, which GHCU's Table 1 implies. Every stack works at a quarter of that; two
# deconvolutions bring each stage to the full size. The data set is left to the
# config that inherits.
_base_ = ['runtime_benchmark.py', 'face_detector.py']

# sigma and kernel are MMPose's 1.5 cells and 7 of 64 x 64 heatmaps, in pixels.
codec = dict(
    _base_.codec,
    input_size=(256, 256),
    heatmap_size=(256, 256),
    sigma=6,
    blur_kernel_size=35)

model = dict(
    backbone=dict(
        type='HourglassNet',
        num_stacks=4,
        downsample_times=4,
        stage_channels=(256, 256, 256, 256, 256),
        stage_blocks=(1, 1, 1, 1, 1)),
    head=dict(
        in_channels=256,
        num_stages=4,
        deconv_out_channels=(128, 64),
        deconv_kernel_sizes=(4, 4),
        decoder=codec),
    # A cell is a pixel: flipping needs no shift.
    test_cfg=dict(flip_test=True, flip_mode='heatmap', shift_heatmap=False))

added = dict(
    RandomBBoxTransform=dict(scale_factor=(0.75, 1.25), rotate_factor=40),
    TopdownAffine=dict(input_size=codec['input_size']),
    GenerateTarget=dict(encoder=codec))
train_pipeline = [dict(step, **added.get(step.type, {})) for step in _base_.train_pipeline]
val_pipeline = [dict(step, **added.get(step.type, {})) for step in _base_.val_pipeline]
del added
train_dataloader = dict(num_workers=4, dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(
    batch_size=16, num_workers=4, dataset=dict(pipeline=val_pipeline))
test_dataloader = val_dataloader
