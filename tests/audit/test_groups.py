"""Annotations that are wrong together."""

import numpy as np
import pytest

from semamb_mm.audit import Markup, decide
from semamb_mm.audit.groups import Tail

from .data_sets import faces

CURVE = list(range(1, 8))


def audit(data, annotations, confidences=None):
    keys, _, points, given = data.arrays
    confidences = given if confidences is None else confidences
    markup = Markup(data.mirrored, [CURVE])
    return decide(keys, annotations, points, confidences, markup=markup)


def test_left_and_right_swapped():
    data = faces(seed=1)
    annotations = data.annotations.copy()
    annotations[[5, 80]] = annotations[[5, 80]][:, data.mirrored]
    found = audit(data, annotations)
    paired = data.mirrored != np.arange(16)
    named = found.reasons == "left and right swapped"
    assert named[5][paired].mean() > 0.8 and not named[:, ~paired].any()
    assert found.suspects.sum() == found.suspects[[5, 80]].sum() == named.sum()
    assert found.precision.value > 0.9
    np.testing.assert_array_equal(found.labels[named], data.points[named])


def test_the_annotation_of_another_sample():
    data = faces(seed=2)
    annotations = data.annotations.copy()
    annotations[7] = annotations[7].mean(0) + 0.4 * (annotations[30] - 100)
    found = audit(data, annotations)
    assert set(found.reasons[7][found.suspects[7]]) == {"annotation of another sample"}
    assert (
        found.suspects[7].sum() > 10 and found.suspects.sum() == found.suspects[7].sum()
    )


def test_of_a_whole_sample_the_detector_may_be_unsure():
    data = faces(seed=2)
    annotations, confidences = data.annotations.copy(), data.confidences.copy()
    annotations[7] = annotations[7].mean(0) + 0.4 * (annotations[30] - 100)
    confidences[7] *= 0.5
    found = audit(data, annotations, confidences)
    assert not found.suspects.any()
    assert (found.reasons[7] == "detector is unsure").all() and found.unsure[7].all()


@pytest.mark.parametrize("step", [1, -1])
def test_a_curve_shifted_by_one(step):
    data = faces(seed=3)
    annotations = data.annotations.copy()
    for row in (4, 90, 200):
        annotations[row, CURVE] = np.roll(data.annotations[row], -step, 0)[CURVE]
    found = audit(data, annotations)
    shifted = found.reasons == "shifted by one along its curve"
    assert shifted[np.ix_([4, 90, 200], CURVE)].mean() > 0.9
    assert found.suspects.sum() == shifted.sum() == shifted[:, CURVE].sum()


def test_levels_fall_off_as_a_power():
    rng = np.random.default_rng(0)
    levels = (1 - rng.random(4000)) ** (-1 / 4.0)  # Pareto: beyond x there are x^-4
    tail = Tail(levels)
    for level in (3.0, 6.0):
        assert tail.beyond(level) == pytest.approx(4000 * level**-4, rel=0.5)
        assert tail.beyond(level, flatter=2) > tail.beyond(level)
    nowhere = tail.named(levels, np.zeros(4000, bool), 0.8)
    assert not nowhere.any() and tail.expected(levels, nowhere) == (0, 0)


def test_of_one_video_all_that_is_named_may_be_right():
    levels = np.r_[np.linspace(0.5, 2, 90), np.full(10, 30.0)]
    named = levels > 20
    alone, one = Tail(levels), Tail(levels, np.r_[np.arange(90), np.full(10, 90)])
    false, most = alone.expected(levels, named)
    assert one.expected(levels, named) == (false, pytest.approx(most + 9))


def test_a_part_that_lies_elsewhere_as_a_whole_is_no_suspect():
    """As of mouths that are opened wide, where a detector expects closed ones."""
    data = faces(seed=4)
    keys, annotations, points, confidences = data.arrays
    lip, rows = CURVE[2:6], (10, 60, 120)
    annotations[np.ix_(rows, lip)] += (0, 30)
    # One that is misplaced alone, as far away.
    annotations[60, 12] += (0, 30)
    markup = Markup(data.mirrored, [CURVE])
    found = decide(keys, annotations, points, confidences, markup=markup, threshold=0)
    assert found.suspects[60, 12] and not found.suspects[np.ix_(rows, lip)].any()
    disagrees = found.scores[np.ix_(rows, lip)] > 0
    unsure = found.reasons[np.ix_(rows, lip)] == "detector is unsure"
    assert disagrees.any() and (unsure == disagrees).all()
