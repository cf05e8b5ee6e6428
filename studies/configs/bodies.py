"""MMPose's own ResNet-50 config of COCO at half its resolution, on a small backbone."""

# The heatmaps are as many cells as there.
_base_ = "mmpose::body_2d_keypoint/topdown_heatmap/coco/td-hm_res50_8xb64-210e_coco-256x192.py"
custom_imports = dict(imports=["semamb_mm.pose"])

train_cfg = dict(max_epochs=30, val_interval=30)
optim_wrapper = dict(optimizer=dict(lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", begin=0, end=60, start_factor=0.01, by_epoch=False),
    dict(
        type="CosineAnnealingLR",
        begin=0,
        end=30,
        eta_min_ratio=0.02,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
default_hooks = dict(checkpoint=dict(save_best=None))

codec = dict(_base_.codec, input_size=(96, 128), unbiased=True)
model = dict(
    backbone=dict(
        _delete_=True,
        type="SlimHourglassNet",
        stem_stride=4,
        num_stacks=1,
        downsample_times=3,
        stage_channels=(48, 64, 96, 128),
        stage_blocks=(1, 1, 1, 1),
        feat_channel=48,
    ),
    head=dict(
        in_channels=48,
        deconv_out_channels=(48,),
        deconv_kernel_sizes=(4,),
        decoder=codec,
    ),
)

added = dict(
    TopdownAffine=dict(input_size=codec["input_size"]),
    GenerateTarget=dict(encoder=codec),
)
train_pipeline = [
    dict(step, **added.get(step.type, {})) for step in _base_.train_pipeline
]
del added
train_dataloader = dict(
    batch_size=16, num_workers=1, dataset=dict(pipeline=train_pipeline)
)
val_cfg = val_dataloader = val_evaluator = None
test_cfg = test_dataloader = test_evaluator = None
