"""studies/ghcu.py."""

import sys

import numpy as np
import pytest
from mmengine.config import Config

from semamb_mm.pose.refiners.measure import Predictions
from studies import ghcu
from studies.engine import runs
from tests.small_detector import degraded_model  # noqa: F401


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["study", *map(str, arguments)])
    ghcu.main()


def test_the_study_measures_every_method_on_all_faces(
    degraded_model,  # noqa: F811
):
    path, checkpoint = degraded_model
    rows = ghcu.evaluate(Config.fromfile(path), checkpoint, "procedural", 0)
    assert len(rows) == len(ghcu.CONDITIONS) * (1 + 3 * len(ghcu.REFINERS))
    for row in rows:
        assert np.isfinite(row["NME"]) and 0 <= row["FR@10"] <= row["FR@8"] <= 100
        occluded = row["condition"].startswith("occluded")
        assert np.isnan(row["NME occluded"]) != occluded
    text = ghcu.table(rows + [dict(row, seed=1, NME=row["NME"] + 2) for row in rows])
    first = rows[0]["NME"]
    assert f"| {first + 1:.2f} ({first:.2f}-{first + 2:.2f}) |" in text


def test_rivals_are_tuned_on_faces_that_are_not_their_own(monkeypatch):
    """The nearest of a face's own shapes is itself: it would always win."""
    rng = np.random.default_rng(0)
    truth = rng.normal(0, 1, (40, 68, 2)) + np.linspace(0, 20, 68)[:, None]
    nearest, seen = ghcu.nearest_shape, []

    def remember(shapes, points, weights):
        seen.append(np.abs(shapes - points).max((1, 2)).min())
        return nearest(shapes, points, weights)

    monkeypatch.setattr(ghcu, "nearest_shape", remember)
    hidden, sure = np.zeros((40, 68), bool), np.ones((40, 68))
    faces = Predictions(truth, hidden, truth, sure, truth)
    grid = [dict(power=1, neighbours=False)]
    ghcu.tune_rival("nearest", grid, faces, faces, np.arange(68), 0.1)
    assert len(seen) == 2 * 8 and min(seen) > 0.1


def test_a_finished_run_is_not_repeated_and_another_is_not_mixed_in(
    tmp_path, monkeypatch, capsys
):
    trained, measured = [], []

    def train(run):
        trained.append(run.names[-1])
        run.checkpoint.touch()

    monkeypatch.setattr(runs, "train", train)

    def evaluate(config, checkpoint, data, seed):
        measured.append(seed)
        row = dict(data=data, condition="clean", method="GHCU", seed=seed)
        return [dict(row, **dict.fromkeys(ghcu.FIGURES, 1.5 + seed))]

    monkeypatch.setattr(ghcu, "evaluate", evaluate)
    work = ["--cases", "procedural", "--work-dir", tmp_path]
    call(monkeypatch, *work, "--seeds", 0)
    assert trained == ["detector", "ghcu"]
    for seed in (0, 1):
        (tmp_path / f"detector{seed}.pth").touch()
    given = ["--detectors", f"procedural={tmp_path}/detector{{seed}}.pth"]
    call(monkeypatch, *work, "--seeds", 1, *given)
    call(monkeypatch, *work, "--seeds", 1, *given)
    assert trained == ["detector", "ghcu", "ghcu"] and measured == [0, 1]
    with pytest.raises(SystemExit, match="take another --work-dir"):
        call(monkeypatch, *work, "--seeds", 0, *given)
    with pytest.raises(SystemExit, match="detector2.pth does not exist"):
        call(monkeypatch, *work, "--seeds", 2, *given)
    capsys.readouterr()
    call(monkeypatch, *work, "--report")
    assert "2.00 (1.50-2.50)" in capsys.readouterr().out
    assert trained == ["detector", "ghcu", "ghcu"]


def test_options_reach_the_ghcu_and_not_its_detector(tmp_path, monkeypatch):
    options = ["--cfg-options", "train_cfg.max_epochs=3", "model.head.refiner.a=1"]
    arguments = ["--cases", "procedural", "--seeds", "7", "--work-dir", tmp_path]
    monkeypatch.setattr(sys, "argv", ["study", *map(str, arguments), *options])
    (run,) = ghcu.plan(ghcu.parse_args())
    assert run.checkpoint == run.folder / "epoch_3.pth"
    assert run.resolved.randomness.seed == run.after.resolved.randomness.seed == 7
    assert run.resolved.model.head.refiner.a == 1
    assert run.resolved.load_from == str(run.after.checkpoint)
    assert run.after.epochs == 20 and "refiner" not in run.after.resolved.model.head
