"""A network and a data set small enough to train within a test."""

import copy

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

CODEC = dict(
    type="MSRAHeatmap",
    input_size=(64, 64),
    heatmap_size=(32, 32),
    sigma=1.5,
    unbiased=True,
    blur_kernel_size=7,
)


def tiny_config(work_dir, **changes) -> dict:
    """A runnable config; ``changes`` are merged in, MMEngine's way."""
    train_pipeline = [
        dict(type="LoadImage"),
        dict(type="LoadLatentTargets"),
        dict(type="GetBBoxCenterScale"),
        dict(type="RandomFlip", direction="horizontal"),
        dict(type="RandomBBoxTransform", rotate_factor=40, rotate_prob=1.0),
        dict(type="TopdownAffine", input_size=CODEC["input_size"]),
        dict(type="GenerateTarget", encoder=CODEC),
        dict(type="PackPoseInputs"),
    ]
    val_pipeline = [t for t in train_pipeline if "Random" not in t["type"]]
    dataset = dict(type="SyntheticFaceDataset", num_samples=6, image_size=64)
    sampler = dict(type="DefaultSampler", shuffle=True)
    config = Config(
        dict(
            default_scope="mmpose",
            custom_imports=dict(imports=["semamb_mm.pose"]),
            work_dir=str(work_dir),
            experiment_name="tiny",
            randomness=dict(seed=3),
            model=dict(
                type="TopdownPoseEstimator",
                data_preprocessor=dict(type="PoseDataPreprocessor"),
                backbone=dict(
                    type="SlimHourglassNet",
                    stage_channels=(8, 8, 8),
                    stage_blocks=(1, 1, 1),
                    downsample_times=2,
                    num_stacks=1,
                    feat_channel=8,
                ),
                head=dict(
                    type="SemanticAlignmentHead",
                    num_stages=1,
                    in_channels=8,
                    out_channels=68,
                    decoder=CODEC,
                ),
            ),
            train_dataloader=dict(
                batch_size=3,
                num_workers=0,
                sampler=sampler,
                dataset=dict(dataset, pipeline=train_pipeline),
            ),
            val_dataloader=dict(
                batch_size=3,
                num_workers=0,
                sampler=dict(type="DefaultSampler", shuffle=False),
                dataset=dict(
                    dataset,
                    seed=9,
                    annotation="truth",
                    test_mode=True,
                    pipeline=val_pipeline,
                ),
            ),
            val_evaluator=dict(type="FaceNME"),
            val_cfg=dict(),
            train_cfg=dict(by_epoch=True, max_epochs=2, val_interval=99),
            optim_wrapper=dict(optimizer=dict(type="Adam", lr=1e-3)),
            custom_hooks=[dict(type="LatentTargetHook", start=0)],
            default_hooks=dict(
                checkpoint=dict(type="CheckpointHook", interval=1),
                logger=dict(type="LoggerHook", interval=1),
            ),
        )
    )
    config.merge_from_dict(copy.deepcopy(changes), allow_list_keys=True)
    return config


@pytest.fixture
def make_runner(tmp_path):
    """``make_runner(**changes)``: a Runner of the tiny config."""

    def make(work_dir=None, **changes):
        init_default_scope("mmpose")
        return Runner.from_cfg(tiny_config(work_dir or tmp_path, **changes))

    return make


@pytest.fixture(autouse=True)
def _registered():
    import semamb_mm.pose  # noqa: F401

    init_default_scope("mmpose")
