"""Statistics of raters, against published figures and loops."""

import numpy as np
import pytest
import torch

from semamb_mm.functional import intraclass_correlation, limits_of_agreement

# Shrout and Fleiss 1979, table 2: six subjects, four judges.
JUDGED = torch.tensor(
    [
        [9, 2, 5, 8],
        [6, 1, 3, 2],
        [8, 4, 6, 8],
        [7, 1, 2, 6],
        [10, 5, 6, 9],
        [6, 2, 4, 7],
    ]
).double()


def test_correlations_are_the_published_ones():
    """Table 4 there: ICC(2, 1) is 0.29, ICC(3, 1) is 0.71."""
    found = intraclass_correlation(JUDGED)
    assert found.agreement == pytest.approx(0.29, abs=5e-3)
    assert found.consistency == pytest.approx(0.71, abs=6e-3)


def test_subjects_that_lack_a_rating_do_not_count():
    hole = torch.cat((JUDGED, torch.tensor([[5, torch.nan, 3, 4]]).double()))
    assert intraclass_correlation(hole) == intraclass_correlation(JUDGED)


def test_offsets_count_in_agreement_alone():
    """And nothing but noise is no agreement."""
    moved = JUDGED + torch.tensor([0.0, 50.0, 0.0, 0.0])
    found, before = intraclass_correlation(moved), intraclass_correlation(JUDGED)
    assert found.consistency == pytest.approx(float(before.consistency))
    assert found.agreement < 0.05
    noise = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0))
    assert abs(intraclass_correlation(noise).agreement) < 0.05


def test_too_little_is_not_known():
    for ratings in (JUDGED[:1], JUDGED[:, :1]):
        assert torch.isnan(torch.stack(intraclass_correlation(ratings))).all()
    with pytest.raises(ValueError, match=r"ratings must be \(N, R\)"):
        intraclass_correlation(JUDGED[0])


def test_limits_by_a_loop():
    """Means and deviations of what is there; NaN of a single difference."""
    rng = np.random.default_rng(0)
    differences = rng.normal(1, 2, (40, 3))
    differences[5:30, 1] = differences[1:, 2] = np.nan
    limits = limits_of_agreement(torch.from_numpy(differences))
    for k in range(2):
        own = differences[np.isfinite(differences[:, k]), k]
        mean, deviation = own.mean(), own.std(ddof=1)
        expected = len(own), mean, mean - 1.96 * deviation, mean + 1.96 * deviation
        np.testing.assert_allclose([part[k] for part in limits], expected)
    assert limits.number[2] == 1 and torch.isnan(limits.high[2])
