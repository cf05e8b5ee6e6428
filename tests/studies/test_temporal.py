"""studies/temporal.py: its training's config, variants and figures."""

import argparse
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, HOOKS

from semamb_mm.pose.latent_targets import CHECKPOINT_KEY
from semamb_mm.synthetic.videos import SyntheticVideo
from studies import temporal


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """A work folder with a seed's videos and what a search might have found in them."""
    folder = tmp_path_factory.mktemp("study")
    args = arguments(folder)
    ids = temporal.make_videos(temporal.videos_of(3, args), 3, args)
    assert ids == ["s000", "s001"]
    clips = [SyntheticVideo(3, i, 12) for i in range(2)]
    annotations = torch.from_numpy(np.stack([c.annotate() for c in clips]))
    truth = torch.from_numpy(np.stack([c.keypoints for c in clips]))
    generator = torch.Generator().manual_seed(0)
    found = truth + torch.randn(truth.shape, generator=generator)
    state = dict(
        keys=[f"{video}/{i:06d}" for video in ids for i in range(1, 13)],
        annotations=annotations.flatten(0, 1),
        found=found.flatten(0, 1),
    )
    (run,) = temporal.plan(args)
    run.folder.mkdir(parents=True)
    torch.save({CHECKPOINT_KEY: state}, run.checkpoint)
    return folder


def arguments(tree, **changes):
    given = dict(
        seeds=[3],
        epochs=4,
        windows=[0, 4],
        stride=1,
        videos=2,
        frames=12,
        drift_share=0.5,
        work_dir=str(tree),
        cfg_options={},
    )
    return argparse.Namespace(**dict(given, **changes))


def test_the_training_is_of_these_videos(tree, tmp_path):
    (run,) = temporal.plan(arguments(tree, epochs=8))
    run.resolved.dump(tmp_path / "config.py")
    config = Config.fromfile(tmp_path / "config.py")
    assert config.train_cfg.max_epochs == config.param_scheduler[1].end == 8
    assert config.randomness.seed == 3
    init_default_scope("mmpose")
    assert HOOKS.build(config.custom_hooks[1]).start == 4
    dataset = DATASETS.build(dict(config.train_dataloader.dataset, lazy_init=True))
    assert dataset.ids == ("s000", "s001")
    steps = [type(step).__name__ for step in dataset.pipeline.transforms]
    assert "LoadLatentTargets" in steps and "RandomFlip" in steps


def measure(tree, **changes):
    args = arguments(tree, **changes)
    (run,) = temporal.plan(args)
    return temporal.study(run, args)


def check_way(rows, name, way):
    still, calm = (rows[f"{name}, {way}, window {w}"] for w in (0, 4))
    assert still == pytest.approx(rows[name])
    assert calm["strong jitter"] < 0.8 * rows[name]["strong jitter"]


def test_figures_of_the_variants(tree):
    rows = measure(tree)
    (run,) = temporal.plan(arguments(tree, seeds=[4]))
    assert not run.finished
    clips = [SyntheticVideo(3, i, 12) for i in range(2)]
    error = np.concatenate(
        [
            (c.annotate() - c.keypoints)
            / np.linalg.norm(c.keypoints[:, 36] - c.keypoints[:, 45], axis=-1)[
                :, None, None
            ]
            for c in clips
        ]
    )
    contour = 100 * np.sqrt((error[:, :17] ** 2).sum(-1).mean())
    assert rows["annotations"]["contour"] == pytest.approx(contour, rel=1e-3)
    for name in ("annotations", "search", "consensus"):
        for way in ("temporal", "parabolas")[: 1 + (name == "consensus")]:
            check_way(rows, name, way)
    along = rows["search along annotations, window 0"]
    assert along == pytest.approx(rows["search"])
    # Averages of what the search found keep the annotations' own jitter.
    along = rows["search along annotations, window 4"]["weak jitter"]
    assert along == pytest.approx(rows["annotations"]["weak jitter"], rel=0.2)


def test_every_second_frame(tree):
    rows, half = (measure(tree, stride=s) for s in (1, 2))
    assert half["search"]["weak"] == pytest.approx(rows["search"]["weak"], rel=0.1)
    # A window of four frames holds two on either side.
    wide = measure(tree, windows=[2])
    name = "annotations, temporal, window"
    assert half[f"{name} 4"]["weak"] != half["annotations"]["weak"]
    assert half[f"{name} 4"]["weak"] == pytest.approx(wide[f"{name} 2"]["weak"], 0.2)


def test_the_command_prints_and_keeps_the_table(tree, monkeypatch, capsys):
    command = ["--report", "--seeds", "3", "9", "--epochs", "4", "--windows", "4"]
    monkeypatch.setattr(sys, "argv", ["study", *command, "--work-dir", str(tree)])
    temporal.main()
    shown = capsys.readouterr().out
    assert "seeds 3\n" in shown and "| consensus, temporal, window 4 |" in shown
    assert (tree / "table.md").read_text() in shown
    monkeypatch.setattr(sys, "argv", ["study", "--report", "--seeds", "9"])
    with pytest.raises(SystemExit, match="no training is finished"):
        temporal.main()


def test_seeds_are_averaged():
    rows = {s: {"search": {"weak": w}} for s, w in ((0, 1.0), (1, 3.0))}
    assert temporal.table(rows).splitlines()[2] == "| search | 2.00 ± 1.41 |"
