import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semamb_mm.faces.errors import (
    ced_auc,
    failure_rate,
    frame_step,
    jitter,
    landmark_errors,
    mean_visible,
    middle_frames,
)


def test_landmark_errors_and_their_means():
    truth = np.array([[[0, 0], [1, 1], [np.nan, np.nan]]])
    predicted = np.array([[[3, 4], [1, 1], [9, 9.0]]])
    errors = landmark_errors(predicted, truth)
    np.testing.assert_array_equal(errors, [[5, 0, np.nan]])
    np.testing.assert_array_equal(mean_visible(errors, axis=1), [2.5])
    np.testing.assert_array_equal(mean_visible(errors, axis=0), [5, 0, np.nan])


def test_failure_rate_counts_what_is_above():
    assert failure_rate(np.array([0.01, 0.08, 0.0800001, 0.5]), 0.08) == 0.5


@pytest.mark.parametrize(
    "errors, threshold, area",
    [
        ([0, 0], 0.08, 1),
        ([0.08, 1], 0.08, 0),
        ([0.02], 0.08, 0.75),
        ([0.02, 0.04, 0.3, 0.06], 0.08, (0.75 + 0.5 + 0 + 0.25) / 4),
    ],
)
def test_auc_by_hand(errors, threshold, area):
    np.testing.assert_allclose(ced_auc(np.array(errors), threshold), area)


def test_auc_of_known_distributions():
    n = 200_000
    share = (np.arange(n) + 0.5) / n
    # uniform on [0, a]: CED(e) = e / a, the area to t <= a is t / (2a)
    np.testing.assert_allclose(ced_auc(0.2 * share, 0.08), 0.2, atol=1e-5)
    # exponential of mean m: 1 - m/t (1 - exp(-t/m))
    mean, threshold = 0.05, 0.08
    expected = 1 - mean / threshold * (1 - np.exp(-threshold / mean))
    errors = -mean * np.log1p(-share)
    np.testing.assert_allclose(ced_auc(errors, threshold), expected, atol=1e-5)


face_errors = st.lists(st.floats(0, 1), min_size=1, max_size=30).map(np.array)


@given(face_errors, st.floats(1e-3, 1), st.floats(0, 0.5))
def test_auc_is_the_integral_of_the_step_function(errors, threshold, added):
    area = ced_auc(errors, threshold)
    knots = np.unique(np.r_[0, errors[errors < threshold], threshold])
    steps = np.array([np.mean(errors <= knot) for knot in knots[:-1]])
    np.testing.assert_allclose(
        area, (steps * np.diff(knots)).sum() / threshold, atol=1e-9
    )
    capped = np.mean(np.minimum(errors, threshold))
    np.testing.assert_allclose(area, 1 - capped / threshold, atol=1e-9)
    assert 0 <= area <= 1
    assert ced_auc(errors + added, threshold) <= area + 1e-12
    assert ced_auc(errors, 2 * threshold) >= area - 1e-12
    assert failure_rate(errors, threshold) <= 1 - area + 1e-9


@pytest.mark.parametrize("function", [ced_auc, failure_rate])
@pytest.mark.parametrize("errors", [[], [0.1, np.nan], [np.inf], [[0.1]]])
def test_figures_of_no_or_invalid_errors(function, errors):
    with pytest.raises(ValueError, match="finite errors"):
        function(np.array(errors), 0.08)


def test_frames_between_two_others():
    sequences = np.array(["a"] * 7 + ["b"] * 3 + ["c"])
    frames = np.array([1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12])
    expected = [0, 1, 0, 0, 1, 1, 0, 0, 1, 0, 0]
    assert middle_frames(sequences, frames, 1).tolist() == list(map(bool, expected))
    assert middle_frames(sequences[:1], frames[:1], 1).tolist() == [False]
    assert not middle_frames(sequences, frames, 2).any()


@pytest.mark.parametrize(
    "sequences, frames, step",
    [
        (["a", "a", "a"], [1, 6, 16], 5),
        (["a", "a", "b", "b"], [1, 4, 5, 7], 2),  # 4 and 5 are of two sequences
        (["a", "b"], [1, 9], 1),
        ([], [], 1),
    ],
)
def test_step_between_frames(sequences, frames, step):
    assert frame_step(np.array(sequences), np.array(frames)) == step


def test_jitter_by_hand():
    points = np.zeros((4, 2, 2))
    points[1, 0] = (3, 4)  # out and back: second difference -2 (3, 4)
    points[:, 1, 0] = (0, 10, 20, 31)  # steady, then one pixel more
    points[3, 0] = np.nan
    middle = np.array([False, True, True, False])
    # the third frame's first landmark is not seen in the fourth
    expected = [np.nan, (10 + 0) / 2, 1, np.nan]
    np.testing.assert_allclose(jitter(points, middle), expected)


@given(st.integers(0, 10**6), st.floats(-5, 5), st.floats(-300, 300))
def test_steady_motion_has_no_jitter(seed, speed, start):
    rng = np.random.default_rng(seed)
    still = rng.normal(0, 3, (6, 4, 2))
    steady = start + speed * np.arange(6)[:, None, None] * rng.normal(0, 1, (4, 2))
    middle = np.array([False, True, True, True, True, False])
    np.testing.assert_allclose(
        jitter(still + steady, middle), jitter(still, middle), atol=1e-9
    )


def test_jitter_of_independent_noise():
    rng = np.random.default_rng(0)
    points = rng.normal(0, 2.0, (2000, 30, 2))
    middle = middle_frames(np.zeros(2000), np.arange(2000), 1)
    mean = np.nanmean(jitter(points, middle))
    assert mean == pytest.approx(3.07 * 2.0, rel=0.01)
