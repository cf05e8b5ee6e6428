"""studies/engine/bootstrap.py: the change, its interval, and what stays together."""

import numpy as np
import pytest

from studies.engine import changed


def ratio_of(before, after):
    return lambda weights: (weights @ after) / (weights @ before)


def test_what_changes_alike_has_no_interval():
    before = np.random.default_rng(0).uniform(1, 9, 30)
    found = changed(ratio_of(before, 0.9 * before), 30)
    assert found == pytest.approx((-10, -10, -10))


def test_the_interval_is_as_wide_as_the_change_varies():
    rng = np.random.default_rng(1)
    before, after = np.ones(400), 1 + 0.2 * rng.standard_normal(400)
    value, low, high = changed(ratio_of(before, after), 400)
    assert value == pytest.approx(100 * (after.mean() - 1))
    assert low < value < high
    assert high - low == pytest.approx(2 * 1.96 * 100 * after.std() / 20, rel=0.05)
