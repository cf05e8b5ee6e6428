"""Figures of how far targets moved."""

import numpy as np
import pytest

from semamb_mm.audit.moves import (
    MOVE_COLUMNS,
    mean_shape,
    move_rows,
    moves_table,
    summarise_moves,
)
from tests.faces import make_face


@pytest.fixture
def faces():
    """Four landmarks on a square of 10 px, whose box is the unit; three faces."""
    square = np.array([[0, 0], [10, 0], [0, 10], [10, 10]], np.float32)
    return np.stack([square, square + 5, square + 20])


def test_moves_are_in_percent_of_the_face(faces):
    targets = faces.copy()
    targets[:, 0, 0] += [1, 2, 3]
    visible = np.zeros(faces.shape[:2], bool)
    visible[:, 0] = True
    summary = summarise_moves(faces, targets, visible, truth=targets)
    assert summary == {
        "all": pytest.approx(
            dict(
                mean_move=20, median_move=20, p90_move=28,
                annotation_rms=10 * (14 / 3) ** 0.5, target_rms=0,
            )
        )
    }  # fmt: skip
    lines = moves_table(summary, 4).splitlines()
    assert lines[0] == "% of the size of the landmarks' box"
    assert moves_table({}, 68).startswith("% of the inter-ocular distance")
    assert lines[1].split() == ["landmarks", *summary["all"]]
    assert lines[2].split() == ["all", "20.00", "20.00", "28.00", "21.60", "0.00"]
    assert "true landmarks" in lines[3]
    plain = summarise_moves(faces, targets, visible)
    assert "rms" not in moves_table(plain, 4)
    assert summarise_moves(faces, targets, ~visible & False) == {}


def test_every_landmark_has_a_row(faces):
    targets = faces + np.float32([3, 4])
    rows = list(move_rows(list("abc"), faces, targets, np.full((3, 4), 0.5)))
    assert len(rows) == 12 and all(len(row) == len(MOVE_COLUMNS) for row in rows)
    assert rows[5] == [
        "b", 1, "15.000", "5.000", "18.000", "9.000", "5.000", "50.000", "0.5000",
    ]  # fmt: skip


def test_a_hidden_eye_corner_does_not_shrink_percentages():
    """Whatever stands where a hidden landmark's coordinates would be."""
    face = make_face()
    faces = np.stack([face, face, 2 * face])
    visible = np.ones((3, 68), bool)
    visible[0, 36] = False
    faces[0, 36] = 0, -700
    targets = faces + [3, 4]
    for shown in (faces, np.where(visible[..., None], faces, np.nan)):
        summary = summarise_moves(shown, targets, visible)
        assert summary["all"]["median_move"] == pytest.approx(5)
        assert summary["eyes"]["mean_move"] == pytest.approx((23 * 5 + 12 * 2.5) / 35)
        rows = list(move_rows(list("abc"), shown, targets, np.zeros((3, 68)), visible))
        assert rows[1][7] == rows[69][7] == "5.000"
    hidden = np.where(visible[..., None], faces, np.nan)
    np.testing.assert_allclose(np.ptp(mean_shape(hidden), 0), [120, 90])


def test_the_mean_face_does_not_know_places_and_hidden_landmarks(faces):
    faces[1, 3] = np.nan
    shape = mean_shape(faces[[0, 2]])
    np.testing.assert_allclose(shape, [[-50, -50], [50, -50], [-50, 50], [50, 50]])
    assert np.isfinite(mean_shape(faces)).all()
