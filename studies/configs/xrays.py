"""Lateral head X-rays, 19 landmarks: stock but for backbone and loss."""

# studies.beyond_faces says where the data are.
_base_ = "mmpose::_base_/default_runtime.py"
custom_imports = dict(imports=["semamb_mm.pose"])

train_cfg = dict(max_epochs=100, val_interval=100)
optim_wrapper = dict(optimizer=dict(type="Adam", lr=2e-3))
param_scheduler = [
    dict(type="LinearLR", begin=0, end=60, start_factor=0.01, by_epoch=False),
    dict(
        type="CosineAnnealingLR",
        begin=0,
        end=100,
        eta_min_ratio=0.02,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]

codec = dict(
    type="MSRAHeatmap",
    input_size=(192, 224),
    heatmap_size=(96, 112),
    sigma=1.5,
    unbiased=True,
)
model = dict(
    type="TopdownPoseEstimator",
    data_preprocessor=dict(
        type="PoseDataPreprocessor",
        mean=[123.675, 116.28, 103.53],
        std=[58.395, 57.12, 57.375],
        bgr_to_rgb=True,
    ),
    backbone=dict(
        type="SlimHourglassNet",
        stem_stride=4,
        num_stacks=1,
        downsample_times=3,
        stage_channels=(48, 64, 96, 128),
        stage_blocks=(1, 1, 1, 1),
        feat_channel=48,
    ),
    head=dict(
        type="HeatmapHead",
        in_channels=48,
        out_channels=19,
        deconv_out_channels=(48,),
        deconv_kernel_sizes=(4,),
        loss=dict(type="ChiSquareHeatmapLoss"),
        decoder=codec,
    ),
)

train_pipeline = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(
        type="RandomBBoxTransform",
        shift_factor=0.08,
        scale_factor=(0.85, 1.15),
        rotate_factor=30,
    ),
    dict(type="TopdownAffine", input_size=codec["input_size"]),
    dict(type="PhotometricDistortion"),
    dict(type="GenerateTarget", encoder=codec),
    dict(type="PackPoseInputs"),
]
train_dataloader = dict(
    batch_size=8,
    num_workers=1,
    persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(
        type="BaseCocoStyleDataset",
        data_mode="topdown",
        ann_file="train.json",
        metainfo=dict(
            dataset_name="xrays",
            keypoint_info={
                i: dict(
                    name=f"landmark {i}", id=i, color=[255, 128, 0], type="", swap=""
                )
                for i in range(19)
            },
            skeleton_info={},
            joint_weights=[1.0] * 19,
            sigmas=[],
        ),
        pipeline=train_pipeline,
    ),
)
val_cfg = test_cfg = None
