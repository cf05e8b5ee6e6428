"""studies/dentists_targets.py: which pictures, with which detector, and the figures."""

import argparse
from types import SimpleNamespace

import numpy as np
import pytest

from studies import dentists_targets, disagreement

from .test_disagreement import points, xrays  # noqa: F401


@pytest.fixture
def opinions(xrays):  # noqa: F811
    found = disagreement.read_opinions(xrays, 1)
    found.points[1] += np.random.default_rng(1).normal(0, 3, found.points[1].shape)
    return found


def test_the_mean_difference_does_not_count(opinions):
    own, other = opinions.points
    everything = np.ones(10, bool)
    for share in (0.0, 0.25):
        targets = own + share * (other - own) + (7, -5)
        found = dentists_targets.change(opinions, targets, everything)
        np.testing.assert_allclose(found, [-100 * share] * 3, atol=1e-6)


def test_pictures_that_are_not_asked_for_do_not_count(opinions):
    targets = opinions.points[0].copy()
    targets[:4] = 1e6
    found = dentists_targets.change(opinions, targets, np.arange(10) >= 4)
    assert found == (0, 0, 0)


def test_what_is_not_trained_is_told(xrays, tmp_path):  # noqa: F811
    with pytest.raises(SystemExit, match="--annotators 2 --seeds 3 trains it"):
        disagreement.plain_detectors(str(tmp_path / "runs"), 2, 3)


def test_in_sample_and_out_of_fold(xrays, tmp_path, monkeypatch):  # noqa: F811
    folds = disagreement.read_opinions(xrays, 1).folds
    detectors = [SimpleNamespace(number=fold) for fold in range(5)]
    monkeypatch.setattr(dentists_targets, "plain_detectors", lambda *a: detectors)

    def targets_of(annotator, seed, folder, given, consensus):
        """Moves what a detector without its fold searches; the rest is far off."""
        numbers = {given[fold].number for fold in given}
        moved = np.isin(folds, list(given))
        if len(numbers) == 1:
            assert folder.name == f"without{numbers.pop()}"
        else:
            assert {f: d.number for f, d in given.items()} == {f: f for f in range(5)}
        assert consensus["evidence"] in ("landmarks", "views")
        return np.where(moved[:, None, None], points(annotator), 1e6)

    monkeypatch.setattr(dentists_targets, "targets_of", targets_of)
    args = argparse.Namespace(work_dir=str(tmp_path))
    rows = dentists_targets.rows_of(args, 1, 7)
    assert [row[2] for row in rows] == 2 * (5 * ["in sample"] + ["out of fold"])
    assert all(row[:2] == ["1", "7"] for row in rows)
    assert all(row[-2] in ("-100.0 %", "+nan %") for row in rows)


def test_each_picture_gets_its_own_targets(xrays, tmp_path, monkeypatch):  # noqa: F811
    opinions = disagreement.read_opinions(xrays, 1)
    order = np.random.default_rng(0).permutation(10)
    infos = [dict(img_path=str(xrays / opinions.names[row])) for row in order]
    store = SimpleNamespace(targets=SimpleNamespace())
    found = opinions.points[0][order]
    store.targets.double = lambda: SimpleNamespace(numpy=lambda: found)

    def search(config, checkpoints, fold_of, views, folder, seed):
        assert [fold_of(info) for info in infos] == opinions.folds[order].tolist()
        assert checkpoints == {2: "a checkpoint"}
        assert config.train_dataloader.dataset.ann_file.endswith("annotator_1.json")
        return SimpleNamespace(store=store, dataset=infos), []

    for name, stand_in in dict(
        search_by_folds=search,
        make_targets=lambda *a: None,
        located_samples=lambda dataset: dataset,
        keyed_annotations=lambda located: [("key", info) for info in located],
    ).items():
        monkeypatch.setattr(dentists_targets, name, stand_in)
    args = argparse.Namespace(
        annotators=[1], seeds=[0], folds=[2], methods=["plain"], cfg_options={}
    )
    args.work_dir = str(tmp_path)
    (plain,) = disagreement.plan(args)
    detector = SimpleNamespace(resolved=plain.resolved, checkpoint="a checkpoint")
    targets = dentists_targets.targets_of(1, 0, tmp_path, {2: detector}, {})
    np.testing.assert_array_equal(targets, opinions.points[0])
