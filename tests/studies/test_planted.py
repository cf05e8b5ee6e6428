"""studies/planted.py: what is planted is what is named."""

import numpy as np
import pytest

from studies.planted import KINDS, SLIPS, Markup, plant

MIRRORED = np.r_[np.arange(6), np.arange(15, 5, -1)]
MARKUP = Markup(MIRRORED, [range(6), range(6, 16)])


@pytest.fixture(scope="module")
def points():
    rng = np.random.default_rng(0)
    shape = rng.uniform(0, 100, (1, 16, 2))
    return shape + 5 * rng.standard_normal((800, 16, 2))


def test_shares_are_as_wanted_and_the_rest_is_left_alone(points):
    shares = dict.fromkeys(KINDS, 0.03)
    spoilt, kinds = plant(points, MARKUP, shares, seed=0)
    for kind in KINDS:
        assert (kinds == kind).mean() == pytest.approx(0.03, abs=0.018)
    np.testing.assert_array_equal(spoilt[kinds == ""], points[kinds == ""])
    assert (plant(points, MARKUP, shares, seed=0)[1] == kinds).all()
    assert (plant(points, MARKUP, shares, seed=1)[1] != kinds).any()


def test_slips_are_as_long_as_their_names(points):
    size = np.sqrt(np.ptp(points, axis=1).prod(-1))
    for kind, length in SLIPS.items():
        spoilt, kinds = plant(points, MARKUP, {kind: 0.1}, seed=0)
        moved = np.linalg.norm(spoilt - points, axis=-1) / size[:, None]
        np.testing.assert_allclose(moved[kinds == kind], length)


def test_swaps_shifts_and_other_samples(points):
    spoilt, kinds = plant(points, MARKUP, dict(swap=0.1), seed=0)
    i = np.flatnonzero((kinds == "swap").any(1))[0]
    np.testing.assert_array_equal(spoilt[i], points[i, MIRRORED])
    assert (kinds[i] == "swap").sum() == 10
    spoilt, kinds = plant(points, MARKUP, dict(shift=0.1), seed=0)
    i = np.flatnonzero((kinds[:, :6] == "shift").all(1))[0]
    steps = [np.roll(points[i, :6], -step, 0)[1:5] for step in (1, -1)]
    assert any(np.array_equal(spoilt[i, 1:5], step) for step in steps)
    spoilt, kinds = plant(points, MARKUP, dict(other=0.2), seed=0)
    i = np.flatnonzero((kinds == "other").any(1))[0]
    np.testing.assert_allclose(np.ptp(spoilt[i], 0), np.ptp(points[i], 0))


def test_without_pairs_and_curves_landmarks_change_places(points):
    bare = Markup(np.arange(16), [])
    spoilt, kinds = plant(points, bare, dict(swap=0.05, shift=0.05), seed=0)
    i = np.flatnonzero((kinds == "swap").any(1))[0]
    first, second = np.flatnonzero(kinds[i] == "swap")
    np.testing.assert_array_equal(spoilt[i, first], points[i, second])
    i, k = np.argwhere(kinds == "shift")[0]
    np.testing.assert_array_equal(spoilt[i, k], points[i, (k + 1) % 16])


def test_what_is_not_annotated_stays_so(points):
    hidden = points.copy()
    hidden[:, 3] = np.nan
    spoilt, kinds = plant(hidden, MARKUP, dict.fromkeys(KINDS, 0.02), seed=0)
    assert np.isnan(spoilt[:, 3]).all() and (kinds[:, 3] == "").all()
    assert np.isfinite(spoilt[kinds != ""]).all()
