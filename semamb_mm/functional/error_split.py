"""How much of the differences is the annotators' noise, and what removing it may gain.

Ours. :func:`semamb_mm.functional.consensus_targets` estimates the covariances of the
annotators' errors and of the network's; here they become figures to decide by.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from .consensus import consensus_by_chunks
from .consensus_moments import CHUNK, ConsensusOptions, ConsensusRows, differences


class ErrorSplit(NamedTuple):
    """Mean squares of each landmark, ``(K,)``, along both axes together.

    Attributes:
        noise: Of the annotators' errors, gross ones apart.
        network: Of the errors of what the search finds.
        taken: Of the moves that consensus makes, gross errors apart.
    """

    noise: Tensor
    network: Tensor
    taken: Tensor

    @property
    def left(self) -> Tensor:
        """Of the errors of consensus targets, ``(K,)``.

        With ``E`` and ``N`` the covariances and ``C = E + N``, the move ``-E C^-1 (o -
        p)`` has the covariance ``E C^-1 E``, and the best linear estimate errs by ``E -
        E C^-1 E``: noise less moves. Consensus allows for an error of the network's
        own, so this is on the careful side where it has none.
        """
        return (self.noise - self.taken).clamp(min=0)

    def targets_change(self, landmarks: Sequence[int]) -> Tensor:
        """Return by which share targets err less than annotations, RMS; 0-d.

        Args:
            landmarks: That count; 0 if their annotations have no noise.
        """
        chosen = torch.as_tensor(list(landmarks), device=self.noise.device)
        noise, left = self.noise[chosen].sum(), self.left[chosen].sum()
        return torch.where(noise > 0, 1 - (left / noise).sqrt(), 0)


def split_errors(rows: ConsensusRows, options: ConsensusOptions) -> ErrorSplit:
    """Split differences between annotations and search results into their two parts.

    Args:
        rows: Of samples that the network was not trained on: the annotators' errors are
            assumed to be independent of its own. Each in units of its own size.
        options: Of consensus.

    Returns:
        Zeros for fewer than two samples, of which nothing is known.

    Example:
        >>> truth = torch.randn(500, 1, 2).expand(500, 8, 2)
        >>> noisy = truth + 0.2 * torch.randn(500, 8, 2)
        >>> found = truth + 0.1 * torch.randn(500, 1, 2)
        >>> split = split_errors(ConsensusRows(noisy, found), ConsensusOptions())
        >>> bool((split.noise.mean() / 2 - 0.2**2).abs() < 0.01)
        True
    """
    samples, landmarks = rows.observed.shape[:2]
    squares = torch.zeros(landmarks, dtype=torch.float64)
    number = torch.zeros(landmarks, dtype=torch.float64)
    model = consensus_by_chunks(samples, rows.take, lambda part, made: None, options)
    if model is None:
        return ErrorSplit(squares, squares.clone(), squares.clone())
    for start in range(0, samples, CHUNK):
        part = differences(rows.take(slice(start, start + CHUNK)), options)
        usual = model.usual(part)
        moves = model.moves(part._replace(values=usual), usual)
        squares += moves.double().square().sum((0, 2))
        counted = part.counted
        number += len(moves) if counted is None else counted.sum(0)
    return ErrorSplit(
        model.annotators.double(),
        model.network.double(),
        squares / number.clamp(min=1),
    )


def detector_change(
    split: ErrorSplit, train: Tensor, held_out: Tensor, landmarks: Sequence[int]
) -> Tensor:
    """Return by which share a detector may err less if trained on consensus targets.

    A rough estimate. For a linear smoother ``S`` of annotations with noise ``s^2``, the
    mean squared residual on held-out samples exceeds that on its own by ``2 s^2 tr(S) /
    n`` (the optimism: Efron 2004; Hastie and Tibshirani 1990, section 3.5), and the
    part of its error that noise makes is ``s^2 tr(S S') / n``, at most half of that.
    Neither can be more than the noise or than the error. Targets take the share
    ``taken / noise`` of it away.

    Args:
        split: Of held-out samples.
        train: ``(K,)`` mean squared residuals on samples that were trained on.
        held_out: ``(K,)`` the same on others, in the same units.
        landmarks: That count.

    Returns:
        0-d, RMS; 0 where there is no error to reduce.

    Example:
        >>> one = torch.ones(1)
        >>> split = ErrorSplit(noise=one, network=one, taken=one)
        >>> round(float(detector_change(split, one, 2 * one, [0])), 3)
        0.293
    """
    chosen = torch.as_tensor(list(landmarks), device=train.device)
    noise, network = split.noise[chosen], split.network[chosen]
    optimism = (held_out - train)[chosen].clamp(min=0)
    made_by_noise = torch.minimum(torch.minimum(optimism / 2, noise), network)
    away = split.taken[chosen].clamp(max=noise) / noise.clamp(min=1e-300)
    gained, error = (made_by_noise * away).sum(), network.sum()
    return torch.where(error > 0, 1 - (1 - gained / error).clamp(min=0).sqrt(), 0)


def half_samples(
    groups: Tensor,
    statistic: Callable[[Tensor], Tensor],
    resamples: int,
    generator: torch.Generator,
) -> Tensor:
    """Return a statistic of random halves of the samples, whole groups at a time.

    Of a half it varies around that of all as that of all does around its expectation
    (the delete-half jackknife: Shao and Wu 1989; Politis and Romano 1994). A bootstrap
    draws samples twice, and to a regression what is there twice explains itself: it
    would find less noise than there is.

    Args:
        groups: ``(N,)`` number of each sample's group, such as its picture.
        statistic: Of the rows ``(n,)`` that were drawn.
        resamples: ``R``.
        generator: Draws.

    Returns:
        ``(R, ...)``, what the statistic gives.

    Example:
        >>> values = torch.arange(100.0)
        >>> mean = lambda rows: values[rows].mean()
        >>> half_samples(values, mean, 5, torch.Generator()).shape
        torch.Size([5])
    """
    _, numbers = torch.unique(groups, return_inverse=True)
    number = int(numbers.max()) + 1
    found = []
    for _ in range(resamples):
        drawn = torch.randperm(number, generator=generator)[: max(1, number // 2)]
        kept = torch.zeros(number, dtype=torch.bool).index_fill(0, drawn, True)
        found.append(statistic(kept[numbers].nonzero()[:, 0]))
    return torch.stack(found)


def interval(
    value: Tensor, found: Tensor, level: float = 0.95
) -> tuple[Tensor, Tensor]:
    """Return the ends of a figure's interval; the figure itself lies within.

    Args:
        value: Of all samples.
        found: ``(R, ...)``, of :func:`half_samples`.
        level: Share of them between the ends.
    """
    tail = (1 - level) / 2
    low, high = found.quantile(tail, 0), found.quantile(1 - tail, 0)
    return torch.minimum(low, value), torch.maximum(high, value)
