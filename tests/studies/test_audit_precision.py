"""studies/audit_precision.py: halves, planted trees, figures and tables."""

import argparse
import os
from pathlib import Path

import numpy as np
import pytest

from semamb_mm.pose.datasets import SyntheticFaceDataset, write_pts_tree
from semamb_mm.pose.finished.held_out import Predictions
from studies import audit_precision, rivals_of_audit
from studies.planted import Markup, plant
from tests.audit.data_sets import faces


@pytest.fixture(scope="module")
def args(tmp_path_factory):
    """The real ones are procedural here."""
    folder = tmp_path_factory.mktemp("study")
    data = folder / "faces"
    write_pts_tree(SyntheticFaceDataset(num_samples=5, image_size=64), data)
    names = "".join(f"images/{i:06d}\n" for i in range(5))
    (data / "train.txt").write_text(names)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_ROOT", str(data))
        yield argparse.Namespace(
            cases=["real"],
            epochs=3,
            halves=[0, 1],
            work_dir=str(folder / "work"),
            cfg_options={},
        )


def test_the_halves_are_trained_on_planted_errors(args):
    first, second = audit_precision.plan(args)
    tree = audit_precision.planted_tree(args)
    assert first.data_root == second.data_root == tree
    source = Path(os.environ["DATA_ROOT"]).resolve()
    _, right, _ = audit_precision.faces_of(source)
    _, spoilt, _ = audit_precision.faces_of(tree)
    with np.load(tree / "planted.npz") as arrays:
        planted = arrays["kinds"] > 0
    moved = np.linalg.norm(spoilt - right, axis=-1) > 0.02
    np.testing.assert_array_equal(planted, moved)
    names = [(tree / f"without{half}.txt").read_text().split() for half in (0, 1)]
    assert [len(half) for half in names] == [2, 3]
    assert not set(names[0]) & set(names[1])
    for run, half in ((first, 0), (second, 1)):
        dataset = run.resolved.train_dataloader.dataset
        assert dataset.ann_file == f"without{half}.txt"
        assert run.checkpoint.name == "epoch_3.pth"
    args.cases = ["xrays"]
    assert audit_precision.plan(args) == []
    args.cases = ["real"]


def test_every_face_gets_the_right_detector(args, monkeypatch):
    runs = audit_precision.plan(args)

    def found(run, seen):
        rows = np.array(audit_precision.rows_of(run, 5, seen))[:, None] * np.ones(2)
        detector = np.full(rows.shape, int(run.names[1][-1]))
        return Predictions(np.stack([rows, rows], -1), rows, detector, rows >= 0)

    monkeypatch.setattr(audit_precision, "predictions", found)
    for seen in (True, False):
        rows, joined = audit_precision.of_real(runs, 5, seen)
        np.testing.assert_array_equal(rows, np.arange(5))
        np.testing.assert_array_equal(joined.confidences[:, 0], rows)
        # The detector without half 0 was trained on the odd rows.
        expected = (rows % 2 == 0) if seen else (rows % 2 == 1)
        np.testing.assert_array_equal(joined.spread[:, 0], expected)
    rows, joined = audit_precision.of_real(runs[:1], 5, seen=False)
    assert rows.tolist() == joined.confidences[:, 0].tolist() == [0, 2, 4]


def found_of(data):
    spread = np.ones(data.wrong.shape)
    inside = np.ones(data.wrong.shape, bool)
    return Predictions(data.points, data.confidences, spread, inside)


def test_a_row_of_the_calibration():
    data = faces(300)
    markup = Markup(data.mirrored, [])
    spoilt, kinds = plant(data.annotations, markup, {"slip 30 %": 0.02}, seed=0)
    row = audit_precision.calibration_row(spoilt, kinds, found_of(data), markup)
    assert row["planted"] == (kinds != "").sum() and row["landmarks"] == 300 * 16
    assert row["true"] == row["right"] / row["suspects"] > 0.7
    assert row["inside"] == (row["low"] <= row["true"] <= row["high"])
    assert row["lists"] == 5 >= row["lists_inside"] > 2
    table = audit_precision.calibration_table([dict(case="a", rate=0.02, **row)])
    assert f"| a | 2 % | {row['planted']} | {row['suspects']} |" in table


def test_figures_of_a_ranking_are_weighted_to_the_rate():
    wrong = np.array([1, 0, 1, 0, 0, 0], bool)
    scores = np.array([6, 5, 4, 3, 2, 1.0])
    found = audit_precision.curve_figures(scores, wrong, 0.5)
    # At recall 1/2 no false alarm, at 1 a quarter of the right ones.
    assert found["precision at recall 0.5"] == 1
    assert found["precision at recall 0.9"] == pytest.approx(1 / 1.25)
    assert found["AUPRC"] == pytest.approx((1 + 1 / 1.25) / 2)
    rare = audit_precision.curve_figures(scores, wrong, 0.01)
    assert rare["precision at recall 0.9"] == pytest.approx(0.01 / (0.01 + 0.99 / 4))


def test_rankings_put_slips_first():
    data = faces(300)
    markup = Markup(data.mirrored, [])
    spoilt, kinds = plant(data.annotations, markup, {"slip 30 %": 0.02}, seed=0)
    found = found_of(data)
    ranked = audit_precision.rankings(spoilt, found, markup)
    wrong = (kinds != "").ravel()
    figures = {
        name: audit_precision.curve_figures(scores.ravel(), wrong, 0.05)["AUPRC"]
        for name, scores in ranked.items()
    }
    assert all(value > 0.3 for value in figures.values()), figures
    assert figures["ours"] == max(figures.values())
    rows = [
        dict(kind="slip", rate=0.05, ranking=name, AUPRC=value)
        | {"precision at recall 0.8": 0.5}
        for name, value in figures.items()
    ]
    assert f"{figures['ours']:.2f} / 0.50" in audit_precision.rivals_table(rows)


def test_shapes_alone_do_not_see_a_sample_moved_as_a_whole():
    data = faces(200)
    moved = data.annotations.copy()
    moved[3] += 50
    for ranking in (rivals_of_audit.pca_residual, rivals_of_audit.shape_mixture):
        np.testing.assert_allclose(ranking(moved), ranking(data.annotations), atol=1e-6)
