import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.runner import Runner

from semamb_mm.pose.datasets import SyntheticFaceDataset, write_pts_tree
from semamb_mm.pose.hooks import LatentTargetVisualizationHook
from tests.pose.conftest import tiny_config

BACKENDS = [dict(type="LocalVisBackend"), dict(type="TensorboardVisBackend")]


def hooks(**options):
    drawing = dict(type="LatentTargetVisualizationHook", **options)
    return [dict(type="LatentTargetHook", start=0), drawing]


def visualizer(name):
    return dict(type="Visualizer", vis_backends=BACKENDS, name=name)


def pictures(runner) -> dict:
    found = sorted(Path(runner.work_dir).glob("*/vis_data/vis_image/*.png"))
    return {path.name: cv2.imread(str(path)) for path in found}


def test_the_same_samples_are_drawn_and_their_targets_move(make_runner):
    events = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="TensorBoard is not installed",
    )
    runner = make_runner(
        custom_hooks=hooks(interval=2, num_samples=3),
        train_cfg=dict(max_epochs=4),
        visualizer=visualizer("drawn"),
    )
    runner.train()
    drawn = pictures(runner)
    assert list(drawn) == ["latent_targets_2.png", "latent_targets_4.png"]
    first, second = drawn.values()
    assert first.shape == second.shape and first.shape[1] > 2 * first.shape[0]
    changed = (first != second).any(-1).mean()
    assert 0 < changed < 0.5  # the same faces, other targets

    (folder,) = Path(runner.work_dir).glob("*/vis_data")
    board = events.EventAccumulator(str(folder)).Reload()
    assert [e.step for e in board.Images("latent_targets")] == [2, 4]
    names = ("latent_move", "latent_move_contour", "latent_at_edge", "latent_energy")
    assert set(names) <= set(board.Tags()["scalars"])
    assert all(np.isfinite(e.value) for e in board.Scalars("latent_move"))


def test_an_unreadable_image_is_left_out_with_a_warning(tmp_path, caplog):
    write_pts_tree(
        SyntheticFaceDataset(num_samples=6, image_size=64), tmp_path / "faces"
    )
    config = tiny_config(
        tmp_path / "run",
        custom_hooks=hooks(num_samples=2),
        train_cfg=dict(max_epochs=1),
        visualizer=visualizer("left_out"),
    )
    pipeline = config["train_dataloader"]["dataset"]["pipeline"]
    config["train_dataloader"]["dataset"] = dict(
        type="PtsFaceDataset",
        data_root=str(tmp_path / "faces"),
        data_prefix=dict(img="images"),
        pipeline=pipeline,
    )
    runner = Runner.from_cfg(config)
    hook = next(h for h in runner.hooks if isinstance(h, LatentTargetVisualizationHook))
    broken = tmp_path / "faces/images/000000.png"
    shutil.copy(broken, tmp_path / "sound.png")
    runner.call_hook("before_run")
    runner._train_loop = runner.build_train_loop(runner._train_loop)
    latent = next(h for h in runner.hooks if hasattr(h, "store"))
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    latent.before_train(runner)
    broken.write_bytes(b"not an image")
    hook.before_train(runner)
    assert [row for row, *_ in hook._faces] == [5]
    (log,) = Path(runner.work_dir).glob("*/*.log")
    assert "000000.png cannot be read" in log.read_text()


def test_bad_set_ups_are_named(make_runner):
    with pytest.raises(ValueError, match="num_samples"):
        LatentTargetVisualizationHook(num_samples=0)
    alone = [dict(type="LatentTargetVisualizationHook")]
    with pytest.raises(ValueError, match="needs a LatentTargetHook"):
        make_runner(custom_hooks=alone).train()
