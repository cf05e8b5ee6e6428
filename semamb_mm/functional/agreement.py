"""Agreement of raters by the statistics that the medical literature reports."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

_LIMIT = 1.96  # standard deviations to either side hold 95 %


class IntraclassCorrelation(NamedTuple):
    """Of single ratings: the share of the variance that is the subjects'.

    Attributes:
        agreement: 0-d, of raters drawn at random; their offsets count as errors: ICC(2,
            1) of Shrout and Fleiss, (A, 1) of McGraw and Wong.
        consistency: 0-d, their offsets do not count: ICC(3, 1), (C, 1).
    """

    agreement: Tensor
    consistency: Tensor


def intraclass_correlation(ratings: Tensor) -> IntraclassCorrelation:
    """Return how well ratings of the same subjects agree (Shrout and Fleiss 1979).

    Of coordinates the subjects' variance is that of where things are in the picture:
    far more than any annotator's error, so that values near 1 say little.

    Args:
        ratings: ``(N, R)`` of ``N`` subjects by ``R`` raters. Subjects that lack one,
            NaN, do not count.

    Returns:
        NaN for fewer than two subjects or raters, or if all ratings are equal.

    Example:
        >>> judged = torch.tensor([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8],
        ...                        [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7.0]])
        >>> [round(float(value), 2) for value in intraclass_correlation(judged)]
        [0.29, 0.71]
    """
    if ratings.dim() != 2:
        raise ValueError(f"ratings must be (N, R), got {tuple(ratings.shape)}")
    ratings = ratings[torch.isfinite(ratings).all(1)].double()
    subjects, raters = ratings.shape
    if subjects < 2 or raters < 2:
        unknown = torch.tensor(torch.nan, dtype=torch.float64)
        return IntraclassCorrelation(unknown, unknown)
    centred = ratings - ratings.mean()
    of_subjects = raters * centred.mean(1).square().sum() / (subjects - 1)
    of_raters = subjects * centred.mean(0).square().sum() / (raters - 1)
    rest = centred - centred.mean(1, keepdim=True) - centred.mean(0)
    error = rest.square().sum() / ((subjects - 1) * (raters - 1))
    both = of_subjects + (raters - 1) * error
    offsets = raters * (of_raters - error) / subjects
    return IntraclassCorrelation(
        (of_subjects - error) / (both + offsets), (of_subjects - error) / both
    )


class Limits(NamedTuple):
    """Limits of agreement.

    Attributes:
        number: ``(...)`` of differences.
        bias: ``(...)``, their mean.
        low: ``(...)``; 95 % of differences are expected between it and ``high``.
        high: See ``low``.
    """

    number: Tensor
    bias: Tensor
    low: Tensor
    high: Tensor


def limits_of_agreement(differences: Tensor) -> Limits:
    """Return within which limits two raters differ (Bland and Altman 1986).

    Args:
        differences: ``(N, ...)``; NaN does not count.

    Returns:
        NaN where there are fewer than two.

    Example:
        >>> limits = limits_of_agreement(torch.tensor([1.0, 2.0, 3.0]))
        >>> [round(float(value), 2) for value in limits]
        [3.0, 2.0, 0.04, 3.96]
    """
    seen = torch.isfinite(differences)
    count = seen.sum(0)
    bias = differences.double().nanmean(0)
    squares = torch.where(seen, differences - bias, 0).square().sum(0)
    few = count < 2
    deviation = (squares / (count - 1).clamp(min=1)).sqrt().masked_fill(few, torch.nan)
    bias = bias.masked_fill(few, torch.nan)
    return Limits(count, bias, bias - _LIMIT * deviation, bias + _LIMIT * deviation)
