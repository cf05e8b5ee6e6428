"""studies/ghcu.py."""

import sys

import numpy as np
import pytest
from mmengine.config import Config

from semamb_mm.pose.refiners.measure import Predictions
from studies import ghcu
from tests import ROOT
from tests.small_detector import degraded_model  # noqa: F401


@pytest.fixture(scope="module")
def study():
    return ghcu


def call(tool, monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["tool", *map(str, arguments)])
    tool.main()


def test_the_study_measures_every_method_on_all_faces(study, degraded_model):  # noqa: F811
    path, checkpoint = degraded_model
    rows = study.evaluate(Config.fromfile(path), checkpoint, "procedural", 0)
    assert len(rows) == len(study.CONDITIONS) * (1 + 3 * len(study.REFINERS))
    for row in rows:
        assert np.isfinite(row["NME"]) and 0 <= row["FR@10"] <= row["FR@8"] <= 100
        occluded = row["condition"].startswith("occluded")
        assert np.isnan(row["NME occluded"]) != occluded
    text = study.table(rows + [dict(row, seed=1, NME=row["NME"] + 2) for row in rows])
    first = rows[0]["NME"]
    assert f"| {first + 1:.2f} ({first:.2f}-{first + 2:.2f}) |" in text


def test_rivals_are_tuned_on_faces_that_are_not_their_own(study, monkeypatch):
    """The nearest of a face's own shapes is itself: it would always win."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, (40, 68, 2)) + np.linspace(0, 20, 68)[:, None]
    nearest, seen = study.nearest_shape, []

    def remember(shapes, points, weights):
        seen.append(np.abs(shapes - points).max((1, 2)).min())
        return nearest(shapes, points, weights)

    monkeypatch.setattr(study, "nearest_shape", remember)
    hidden, sure = np.zeros((40, 68), bool), np.ones((40, 68))
    faces = Predictions(truth, hidden, truth, sure, truth)
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
