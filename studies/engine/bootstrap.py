"""Intervals of what changes, by drawing what it is a mean over."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np


def changed(
    ratio: Callable[[np.ndarray], np.ndarray], count: int, draws: int = 4000
) -> tuple[float, float, float]:
    """Return a change in percent, and the ends of its 95 % interval.

    Args:
        ratio: Of what is after to what is before, ``(...)``, for how often each of the
            ``count`` pictures or groups counts, ``(..., count)``. What is after and
            before of one of them stays together.
        count: How many there are.
        draws: Of the bootstrap.
    """
    drawn = np.random.default_rng(0).multinomial(count, [1 / count] * count, draws)
    many = 100 * (ratio(drawn) - 1)
    whole = 100 * (float(ratio(np.ones(count))) - 1)
    return whole, *map(float, np.percentile(many, (2.5, 97.5)))
