"""A train pipeline that another hook replaces, as RTMPose's configs do."""

import pytest

from semamb_mm.pose.latent_targets.samples import build_store, transforms_of
from semamb_mm.pose.latent_targets.targets_file import write_targets
from tests.pose.conftest import tiny_config
from tests.pose.hooks.test_latent_target_hook import hook_of


@pytest.mark.parametrize(
    ("first", "finished"),
    [
        ("LatentTargetHook", False),
        ("mmdet.PipelineSwitchHook", False),
        ("LatentTargetHook", True),
    ],
)
def test_the_new_pipeline_reads_and_finds_targets_too(
    make_runner, tmp_path, first, finished
):
    pipeline = tiny_config(tmp_path).train_dataloader.dataset.pipeline
    stage_2 = [
        dict(step, meta_keys=("img_path",)) if step.type == "PackPoseInputs" else step
        for step in pipeline
        if step.type not in ("LoadLatentTargets", "RandomFlip")
    ]
    switch = dict(
        type="mmdet.PipelineSwitchHook", switch_epoch=1, switch_pipeline=stage_2
    )
    custom = [dict(type="LatentTargetHook", start=0), switch]
    if finished:  # targets, which nothing searches
        store = build_store(make_runner().train_dataloader.dataset)
        write_targets(tmp_path / "targets.npz", store, {})
        custom[0].update(start=None, targets=str(tmp_path / "targets.npz"))
    custom.sort(key=lambda hook: hook["type"] != first)
    runner = make_runner(custom_hooks=custom, train_cfg=dict(max_epochs=3))
    runner.train()
    steps = transforms_of(runner.train_dataloader.dataset)
    names = [type(step).__name__ for step in steps]
    assert names.count("LoadLatentTargets") == 1 and "RandomFlip" not in names
    hook = hook_of(runner)
    assert steps[names.index("LoadLatentTargets")].store is hook.keeper.shared
    assert hook.store.counts.amax() == (0 if finished else 3)
