"""studies/ghcu.py and choose_ghcu_threshold.py."""

import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.apis import init_model

from studies import ghcu
from tests import ROOT
from tests.small_detector import GHCU, write_model
from tools.analysis import choose_ghcu_threshold

DEGRADATION = [
    dict(type="RandomFaceOcclusion", area=(0.1, 0.4), prob=0.5),
    dict(type="RandomLowQuality", prob=0.5),
]


@pytest.fixture(scope="module")
def chooser():
    return choose_ghcu_threshold


@pytest.fixture(scope="module")
def study(chooser):
    return ghcu


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A GHCU config that degrades in training, and a checkpoint."""
    folder = tmp_path_factory.mktemp("model")
    path, checkpoint = write_model(folder, **GHCU)
    config = Config.fromfile(path)
    load, *steps = config.train_dataloader.dataset.pipeline
    config.train_dataloader.dataset.pipeline = [load, *DEGRADATION, *steps]
    config.dump(path)
    return path, checkpoint


def call(tool, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tool", *map(str, arguments)])
    tool.main()


def test_the_threshold_reaches_the_model_and_the_meta(
    chooser, model, tmp_path, monkeypatch, capsys
):
    path, checkpoint = model
    config = Config.fromfile(path)
    # The checkpoint rules only where the config names no threshold.
    del config.model.head.refiner["confidence_threshold"]
    config.dump(tmp_path / "config.py")
    out = tmp_path / "chosen.pth"
    call(chooser, monkeypatch, tmp_path / "config.py", checkpoint, "--out", out)
    said = capsys.readouterr().out
    assert said.count("<- chosen") == 1 and str(out) in said
    meta = torch.load(out, weights_only=True)["meta"]["ghcu_threshold"]
    (row,) = [row for row in meta["curve"] if row["chosen"]]
    assert row["clean"] <= 1.004 * meta["curve"][0]["clean"]
    chosen = init_model(str(tmp_path / "config.py"), str(out), device="cpu")
    threshold = chosen.head.refiner.threshold.tolist()
    assert threshold == pytest.approx(meta["threshold"]) and len(threshold) == 68
    with pytest.raises(SystemExit, match="is the checkpoint itself"):
        call(chooser, monkeypatch, path, checkpoint, "--out", checkpoint)


def test_what_cannot_be_chosen_from(chooser, model, tmp_path, monkeypatch):
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(SystemExit, match="model.head has no refiner"):
        call(chooser, monkeypatch, *write_model(plain))
    config = Config.fromfile(model[0])
    config.model.head.refiner.mode = "replace"
    config.dump(tmp_path / "replace.py")
    with pytest.raises(SystemExit, match="mode is 'replace'"):
        call(chooser, monkeypatch, tmp_path / "replace.py", model[1])
    whole = tmp_path / "whole"
    whole.mkdir()
    with pytest.raises(SystemExit, match="train pipeline has none of"):
        call(chooser, monkeypatch, *write_model(whole, **GHCU))


def test_the_study_measures_every_method_on_all_faces(study, model):
    path, checkpoint = model
    rows = study.evaluate(Config.fromfile(path), checkpoint, "procedural", 0)
    assert len(rows) == len(study.CONDITIONS) * (1 + 3 * len(study.REFINERS))
    for row in rows:
        assert np.isfinite(row["NME"]) and 0 <= row["FR@10"] <= row["FR@8"] <= 100
        occluded = row["condition"].startswith("occluded")
        assert np.isnan(row["NME occluded"]) != occluded
    text = study.table(rows + [dict(row, seed=1, NME=row["NME"] + 2) for row in rows])
    first = rows[0]["NME"]
    assert f"| {first + 1:.2f} ({first:.2f}-{first + 2:.2f}) |" in text


def test_rivals_are_tuned_on_faces_that_are_not_their_own(chooser, study, monkeypatch):
    """The nearest of a face's own shapes is itself: it would always win."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, (40, 68, 2)) + np.linspace(0, 20, 68)[:, None]
    nearest, seen = study.nearest_shape, []

    def remember(shapes, points, weights):
        seen.append(np.abs(shapes - points).max((1, 2)).min())
        return nearest(shapes, points, weights)

    monkeypatch.setattr(study, "nearest_shape", remember)
    hidden, sure = np.zeros((40, 68), bool), np.ones((40, 68))
    faces = chooser.Predictions(truth, hidden, truth, sure, truth)
    grid = [dict(power=1, neighbours=False)]
    study.tune_rival("nearest", grid, faces, faces, np.arange(68), 0.1)
    assert len(seen) == 2 * 8 and min(seen) > 0.1


def test_a_finished_run_is_not_repeated_and_another_is_not_mixed_in(
    study, tmp_path, monkeypatch, capsys
):
    trained, measured = [], []
    monkeypatch.setattr(
        study, "train", lambda config, folder, *_: trained.append(folder.name) or folder
    )

    def evaluate(config, checkpoint, data, seed):
        measured.append(seed)
        row = dict(data=data, condition="clean", method="GHCU", seed=seed)
        return [dict(row, **dict.fromkeys(study.FIGURES, 1.5 + seed))]

    monkeypatch.setattr(study, "evaluate", evaluate)
    work = ["--data", "procedural", "--work-dir", tmp_path]
    call(study, monkeypatch, *work, "--seeds", 0)
    assert trained == ["detector", "ghcu"]
    for seed in (0, 1):
        (tmp_path / f"detector{seed}.pth").touch()
    given = ["--detectors", f"procedural={tmp_path}/detector{{seed}}.pth"]
    call(study, monkeypatch, *work, "--seeds", 1, *given)
    call(study, monkeypatch, *work, "--seeds", 1, *given)
    assert trained == ["detector", "ghcu", "ghcu"] and measured == [0, 1]
    with pytest.raises(SystemExit, match="take another --work-dir"):
        call(study, monkeypatch, *work, "--seeds", 0, *given)
    with pytest.raises(SystemExit, match="detector2.pth does not exist"):
        call(study, monkeypatch, *work, "--seeds", 2, *given)
    capsys.readouterr()
    call(study, monkeypatch, *work, "--report")
    assert "2.00 (1.50-2.50)" in capsys.readouterr().out
    assert trained == ["detector", "ghcu", "ghcu"]


def test_options_reach_the_training(study, tmp_path, monkeypatch):
    commands = []

    class Done:
        returncode = 0

    monkeypatch.setattr(
        study.subprocess, "run", lambda command, **_: commands.append(command) or Done
    )
    config = ROOT / "configs/ghcu/slim-hourglass_ghcu_synthetic-96x96.py"
    options = ("train_cfg.max_epochs=3", "load_from=x.pth")
    checkpoint = study.train(config, tmp_path / "run", 7, options)
    assert checkpoint == tmp_path / "run" / "epoch_3.pth"
    assert commands[0][-3:] == ["randomness.seed=7", *options]
    checkpoint.touch()
    study.train(config, tmp_path / "run", 7, options)
    assert len(commands) == 1
    Done.returncode = 1
    with pytest.raises(SystemExit, match="training failed, see .*train.log"):
        study.train(config, tmp_path / "other", 7, options)
