"""studies/observers.py: simulated annotators, the dentists' noise."""

import argparse

import numpy as np
import pytest
import torch

from studies import observers


def test_simulated_annotators_have_the_errors_that_are_claimed():
    """Around their own conventions, which sum to zero."""
    truth, marks = observers.marked(150, seed=0)
    away = marks - truth
    assert away.mean((0, 1)).abs().max() < 0.02
    around = (away - away.mean(1, keepdim=True)).square().sum(-1).mean((1, 2)).sqrt()
    for found, noise in zip(around, observers.ANNOTATORS.values()):
        expected = (observers.deviations(noise) ** 2).sum(1).mean() ** 0.5
        assert found == pytest.approx(expected, rel=0.1)


def test_targets_gain_what_the_page_says():
    """At most 0.8 of the mean's error; covariances to 15 % of 300 faces."""
    figures = observers.simulate(300, seed=0)
    mean, together, targets, _ = figures["rms"]
    assert targets < 0.8 * mean and targets < together < mean
    assert max(figures["covariance"]) < 0.15


def test_the_dentists_table(monkeypatch, tmp_path):
    """A detector that has seen the pictures makes its dentist look precise."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(50, 400, (60, 19, 2))
    points = truth + 3 * rng.standard_normal((2, 60, 19, 2))
    groups = np.arange(60)
    points[:, 59] = truth[0] + 3 * rng.standard_normal((2, 19, 2))
    groups[59] = 0
    folds = groups % 5
    found = truth + 3 * rng.standard_normal((5, 60, 19, 2))
    for fold in range(5):  # what the others' detectors have learned by heart
        found[fold, folds != fold] += 0.7 * (points[0] - truth)[folds != fold]
    opinions = observers.disagreement.Opinions(
        [str(i) for i in range(60)], groups, folds, np.zeros((60, 4)), points
    )
    read = lambda root, annotator: opinions  # noqa: E731
    monkeypatch.setattr(observers.disagreement, "read_opinions", read)
    monkeypatch.setattr(observers, "xray_root", lambda: tmp_path)
    np.save(tmp_path / "predictions_seed0.npy", found)
    args = argparse.Namespace(seeds=[0], out_dir=tmp_path, resamples=2, work_dir="")
    table = observers.xray_table(args)
    unseen, seen, repeats = table.strip().splitlines()[2:]
    real = 3 * 2**0.5 / observers.ORIGINAL
    first = [float(line.split("|")[2].split("(")[0]) for line in (unseen, seen)]
    assert first[0] == pytest.approx(real, rel=0.1) and first[1] < 0.8 * real
    assert "19 marks" in repeats


def test_runs_that_are_missing_are_named(monkeypatch, tmp_path):
    missing = argparse.Namespace(finished=False, checkpoint="epoch_100.pth")
    monkeypatch.setattr(observers.disagreement, "plan", lambda args: [missing])
    args = argparse.Namespace(out_dir=tmp_path, work_dir="")
    with pytest.raises(SystemExit, match=r"epoch_100.pth is missing: python -m stu"):
        observers.predictions(args, 0)


def test_halves_vary_around_the_figures():
    points = torch.randn(3, 40, 6, 2, generator=torch.Generator().manual_seed(0))
    figures, drawn = observers.hat(points, np.arange(40), 5)
    assert figures.shape == (5,) and drawn.shape == (5, 5)
    assert (drawn[:, :3] / figures[:3] - 1).abs().max() < 0.5
