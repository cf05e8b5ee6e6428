"""Several observers of the same landmarks: who errs by how much, without any truth.

Ours, after Grubbs (1948), who told the imprecision of instruments apart that measured
the same things; metrology calls it the three-cornered hat. Differences between two
observers hold the errors of both; of three observers' differences each one's own can be
solved for. Observers are people, or a network on pictures that it was not trained on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import NamedTuple

import torch
from torch import Tensor

from ._checks import first_not_finite
from .curves import from_axes, landmark_axes, to_axes

_ENOUGH = 8  # samples of which it is known what is usual
_EQUAL = 1e-6  # of a sample's size: two positions that are the same
_COPIED = 0.5  # share of equal positions from which on two observers are one
_THINNEST = 1e-2  # least pooled variance of a landmark, in the mean over landmarks
_LEAST = 0.01  # of the annotators' mean covariance, added to each when weighed
_TINY = 1e-30


class ObserverErrors(NamedTuple):
    """Errors of ``M`` observers at ``K`` landmarks, float64.

    Axes are along and across where curves are known, else x and y. Units are those of
    the positions.

    Attributes:
        offsets: ``(M, K, 2)``, by how much an observer puts the landmark elsewhere than
            the annotators' mean convention.
        covariances: ``(M, K, 3)``, along, across, and of the two, of a single
            annotation around the observer's own convention.
        common: ``(M,)``, the part of a coordinate's variance that is one shift of the
            whole sample in the image.
        counts: ``(M, K)``, in how many samples another observer saw the landmark too.
        identified: ``(M, K)`` bool, whether the differences tell this observer's
            covariance from the others'.
        negative: ``(M, K)`` bool, whether its estimate had a negative variance.
        same_as: ``(M,)``, the first observer whose positions these are; its own number
            for all that are no copies.
        offset_errors: ``(M, K, 2)``, standard errors.
        covariance_errors: ``(M, K, 3)``, standard errors of the estimates before they
            were shrunk.
    """

    offsets: Tensor
    covariances: Tensor
    common: Tensor
    counts: Tensor
    identified: Tensor
    negative: Tensor
    same_as: Tensor
    offset_errors: Tensor
    covariance_errors: Tensor

    @property
    def variances(self) -> Tensor:
        """Of each landmark along both axes together, ``(M, K)``."""
        return self.covariances[..., :2].sum(-1)

    @property
    def common_shares(self) -> Tensor:
        """Share of an observer's variance that is common to a sample, ``(M,)``."""
        return self.common / (self.variances.mean(1) / 2).clamp(min=_TINY)


def observer_errors(
    points: Tensor,
    visible: Tensor | None = None,
    *,
    curves: Sequence[Sequence[int]] = (),
    network: bool = False,
    clip: float = 3.0,
) -> ObserverErrors:
    """Estimate offsets and covariances of observers from their differences alone.

    With ``y`` the real landmark, observer ``m`` marks ``y + b_m + e_m``, errors of
    different observers being independent. Means of differences are ``b_m - b_n``, their
    covariances ``S_m + S_n``: both are solved for by least squares over all pairs, each
    weighted by the samples it shares, and in the second case by how well its
    covariance is known (Grubbs 1948). ``b`` sums to zero over the
    annotators; a convention that all share cannot be seen. Differences further than
    ``clip`` robust deviations from their median count as that far.

    Covariances of annotators are then shrunk (empirical Bayes): first each one's scale
    towards that of all, along curves, across them and elsewhere by itself, then each
    landmark's towards the annotators' pooled covariance times that scale; the more, the
    larger the standard errors are in what differs. An
    annotator with few samples, or none at a landmark, so has the pooled one. Offsets
    are shrunk towards none. The network is neither pooled nor shrunk.

    What cannot be known:

    - Of one observer nothing: all is 0 and not identified.
    - Of two only the sum is known: it is halved (Dahlberg's formula), and not
      identified. So wherever the pairs that share samples form no cycle of an odd
      number of observers.
    - Observers that are equal in more than half of the landmarks copied each other, and
      count as one, see ``same_as``. Less obvious copying looks like precision.
    - A network in sample has learned its annotators' slips: its errors are not
      independent of theirs, and these annotators and itself come out too precise. Give
      it pictures that it was not trained on.
    - Where errors are much smaller than the other observers', estimates may be
      negative: such directions count as 0, see ``negative``.

    Args:
        points: ``(M, N, K, 2)`` ``(x, y)``, each sample in units of its own size.
        visible: ``(M, N, K)``; what is 0 is missing. Defaults to what is finite.
        curves: Landmark indices of open curves, see :func:`curve_tangents`.
        network: Whether the last observer is a network: its offset is told, and does
            not count in the mean convention.
        clip: See above. From eight shared samples on.

    Raises:
        ValueError: On shapes that disagree, visible positions that are not finite, or
            ``clip`` that is not positive.

    Example:
        >>> noise = torch.tensor([0.1, 0.2, 0.4]).view(3, 1, 1, 1)
        >>> marked = torch.randn(1, 900, 5, 2) + noise * torch.randn(3, 900, 5, 2)
        >>> found = observer_errors(marked).variances.mean(1) / 2
        >>> bool((found.sqrt() / noise.flatten() - 1).abs().max() < 0.15)
        True
    """
    if not clip > 0:
        raise ValueError(f"clip must be positive, got {clip}")
    points, visible = _checked(points, visible)
    observers, _, landmarks, _ = points.shape
    people = observers - int(network)
    base, along = _base(points[:people], visible[:people], curves)
    same_as = _copies(points, visible)
    points, visible = _merged(points, visible, same_as)
    placed = torch.where(visible[..., None], to_axes(points - base, along), 0)
    pairs = list(combinations(range(observers), 2))
    if not pairs:
        pairs = [(0, 0)]  # of nothing but zeros
    first, second = (list(part) for part in zip(*pairs))
    shared = visible[first] & visible[second]
    apart = _usual(placed[first] - placed[second], shared, clip)
    ones = torch.eye(observers, dtype=points.dtype, device=points.device)
    offsets = _solve(ones[first] - ones[second], shared, apart)
    offsets = _around_the_mean(offsets, people)
    moved = offsets.estimate.clone()
    apart = apart - (moved[first] - moved[second])[:, None]
    apart = torch.where(shared[..., None], apart, 0)
    number = shared.sum(1, keepdim=True).to(points)
    enlarge = number / (number - 1).clamp(min=1)
    squares = _products(apart) * enlarge[..., None]
    both = ones[first] + ones[second]
    if first == second:
        both = torch.zeros_like(both)
    measured = shared & (number > 1)
    found = _solve(both, measured, squares, _precision(measured, squares))
    covariances, negative = _nonnegative(found.estimate)
    curved = torch.zeros(landmarks, dtype=torch.bool, device=points.device)
    curved[[k for curve in curves for k in curve]] = True
    covariances[:people] = _shrunk(found, people, curved)
    moved[:people] = _shrunk_offsets(moved[:people], offsets.errors[:people])
    seen = found.counts > 0
    return ObserverErrors(
        offsets=torch.where(seen[..., None], moved, 0)[same_as],
        covariances=covariances[same_as],
        common=_common(from_axes(apart, along), shared, both)[same_as],
        counts=found.counts[same_as],
        identified=(found.identified & seen)[same_as],
        negative=(negative & seen)[same_as],
        same_as=same_as,
        offset_errors=offsets.errors[same_as],
        covariance_errors=found.errors[same_as],
    )


def combine_observers(
    points: Tensor,
    visible: Tensor | None,
    errors: ObserverErrors,
    *,
    curves: Sequence[Sequence[int]] = (),
    network: bool = False,
    clip: float = 3.0,
) -> tuple[Tensor, Tensor]:
    """Return what the annotators say together, and how uncertain that is.

    Each annotator's offset is taken out, so that it makes no difference who marked a
    sample; then each counts by the inverse of its covariance (to which 1 % of the
    annotators' mean is added: an estimate of 0 is no certainty). The one annotator who
    is furthest from the others, the network among them, counts less if that is more
    than ``clip`` deviations ``d``: by ``(clip / d)^2``. So from three opinions on; if
    the network is the furthest, nobody does.

    Args:
        points: See :func:`observer_errors`.
        visible: As above.
        errors: What it returned.
        curves: As above.
        network: As above; it is heard, but does not count.
        clip: See above.

    Returns:
        ``(N, K, 2)`` positions of ``points``'s dtype, the first observer's where
        nobody sees the landmark; ``(N, K, 3)`` covariances xx, yy, xy of their errors,
        float64, 0 there.

    Example:
        >>> truth = torch.randn(900, 5, 2)
        >>> noise = torch.tensor([0.1, 0.4, 0.4]).view(3, 1, 1, 1)
        >>> marked = truth + noise * torch.randn(3, 900, 5, 2)
        >>> both, _ = combine_observers(marked, None, observer_errors(marked))
        >>> bool((both - truth).norm() < 0.6 * (marked.mean(0) - truth).norm())
        True
    """
    given = points
    points, visible = _checked(points, visible)
    people = len(points) - int(network)
    base, along = _base(points[:people], visible[:people], curves)
    points, visible = _merged(points, visible, errors.same_as)
    placed = to_axes(points - base, along) - errors.offsets[:, None]
    placed = torch.where(visible[..., None], placed, 0)
    distinct = errors.same_as[:people].unique()
    least = _LEAST * errors.covariances[distinct].mean(0, keepdim=True)
    covariance = errors.covariances + least
    covariance[..., :2] += _TINY
    weights = _inverse(covariance)[:, None] * visible[..., None]
    weights = weights * _trust(placed, weights, visible, people, clip)[..., None]
    weights, placed = weights[:people], placed[:people]
    mean, spread = _weighted(placed, weights)
    seen = visible[:people].any(0)[..., None]
    combined = torch.where(seen, base + from_axes(mean, along), given[0].to(mean))
    turned = torch.where(seen, _turned(spread, along), 0)
    return combined.to(given), turned


def _checked(points: Tensor, visible: Tensor | None) -> tuple[Tensor, Tensor]:
    """Return float64 positions, 0 where missing, and which are seen."""
    shape = tuple(points.shape)
    if len(shape) != 4 or shape[-1] != 2:
        raise ValueError(f"points must be (M, N, K, 2), got {shape}")
    finite = torch.isfinite(points).all(-1)
    if visible is None:
        visible = finite
    elif tuple(visible.shape) != shape[:3]:
        raise ValueError(f"visible must be {shape[:3]}, got {tuple(visible.shape)}")
    visible = visible > 0
    for number, (one, shown) in enumerate(zip(points, visible)):
        wrong = first_not_finite(one, shown)
        if wrong is not None:
            raise ValueError(
                f"observer {number}, sample {wrong[0]}, landmark {wrong[1]}: "
                f"{one[wrong].tolist()} must be finite where visible"
            )
    return torch.where(visible[..., None], points.double(), 0), visible


def _base(
    points: Tensor, visible: Tensor, curves: Sequence[Sequence[int]]
) -> tuple[Tensor, Tensor]:
    """Return the annotators' mean ``(N, K, 2)`` and the first axes there."""
    number = visible.sum(0)[..., None]
    base = points.sum(0) / number.clamp(min=1)
    return base, landmark_axes(base, curves, number[..., 0] > 0)


def _copies(points: Tensor, visible: Tensor) -> Tensor:
    """Return for each observer the first whose positions it has, ``(M,)``."""
    number = visible.sum((1, 2)).clamp(min=1)
    centre = points.sum(2, keepdim=True) / visible.sum(2)[..., None, None].clamp(min=1)
    apart = torch.where(visible[..., None], points - centre, 0)
    size = (apart.square().sum((1, 2, 3)) / number).mean().sqrt()
    same = torch.arange(len(points), device=points.device)
    for m, n in combinations(range(len(points)), 2):
        shared = visible[m] & visible[n]
        equal = (points[m] - points[n]).abs().amax(-1) <= _EQUAL * size
        samples = int(shared.any(1).sum())
        copied = (equal & shared).sum() > _COPIED * shared.sum()
        if samples >= _ENOUGH and copied and same[n] == n:
            same[n] = same[m]
    return same


def _merged(points: Tensor, visible: Tensor, same_as: Tensor) -> tuple[Tensor, Tensor]:
    """Give what copies alone have to the first of them; the copies have nothing."""
    points, visible = points.clone(), visible.clone()
    for copy, first in enumerate(same_as.tolist()):
        if copy != first:
            alone = visible[copy] & ~visible[first]
            points[first] = torch.where(alone[..., None], points[copy], points[first])
            visible[first] |= alone
            visible[copy] = False
    return points, visible


def _usual(apart: Tensor, shared: Tensor, clip: float) -> Tensor:
    """Return differences ``(P, N, K, 2)`` within the limit around their median."""
    if not shared.shape[1]:
        return apart
    known = apart.masked_fill(~shared[..., None], torch.nan)
    # Of an even number torch takes the lower one, which a sign must not change.
    median = known.nanmedian(1, keepdim=True).values
    median = (median - (-known).nanmedian(1, keepdim=True).values) / 2
    deviation = 1.4826 * (known - median).abs().nanmedian(1, keepdim=True).values
    few = shared.sum(1, keepdim=True)[..., None] < _ENOUGH
    limit = torch.where((deviation > 0) & ~few, clip * deviation, torch.inf)
    median = median.nan_to_num()
    return torch.clamp(apart, median - limit, median + limit)


class _Solved(NamedTuple):
    """Least squares of means over samples.

    Attributes:
        estimate: ``(M, K, C)``.
        influence: ``(M, N, K, C)`` of each sample; their squares add up to those of the
            standard errors (the infinitesimal jackknife: Jaeckel 1972).
        counts: ``(M, K)`` of samples with an equation.
        identified: ``(M, K)`` bool.
    """

    estimate: Tensor
    influence: Tensor
    counts: Tensor
    identified: Tensor

    @property
    def errors(self) -> Tensor:
        """Standard errors, ``(M, K, C)``."""
        return self.influence.square().sum(1).sqrt()


def _precision(shared: Tensor, squares: Tensor) -> Tensor:
    """Return how much a sample of each pair tells of covariances, ``(P, 1)``.

    The variance of a variance is in proportion to its square. A pair that hardly
    differs counts a hundred times one that differs most, at most.
    """
    total = torch.where(shared, squares[..., :2].sum(-1), 0).sum((1, 2))
    mean = total / shared.sum((1, 2)).clamp(min=1)
    mean = mean / mean.max().clamp(min=_TINY)
    return mean.clamp(min=0.1).reciprocal().square()[:, None]


def _solve(
    design: Tensor, shared: Tensor, values: Tensor, precision: Tensor | float = 1.0
) -> _Solved:
    """Solve for observers what the means over pairs are made of.

    Args:
        design: ``(P, M)``, how often each observer counts in a pair's mean.
        shared: ``(P, N, K)`` bool, which values count.
        values: ``(P, N, K, C)``.
        precision: ``(P, 1)``, how much a sample of each pair tells.
    """
    number = shared.sum(1).to(values)
    trusted = number * precision
    means = torch.where(shared[..., None], values, 0).sum(1)
    means = means / number.clamp(min=1)[..., None]
    normal = torch.einsum("pm,pk,pn->kmn", design, trusted, design)
    inverse = torch.linalg.pinv(normal, rtol=1e-9, hermitian=True)
    weights = torch.einsum("kmn,pn,pk->kmp", inverse, design, trusted)
    each = weights / number.clamp(min=1).T[:, None]
    around = torch.where(shared[..., None], values - means[:, None], 0)
    takes_part = (design != 0).to(values)
    counts = torch.einsum("pm,pnk->mnk", takes_part, shared.to(values)) > 0
    return _Solved(
        torch.einsum("kmp,pkc->mkc", weights, means),
        torch.einsum("kmp,pnkc->mnkc", each, around),
        counts.sum(1),
        ((inverse @ normal).diagonal(dim1=1, dim2=2) > 1 - 1e-6).T,
    )


def _around_the_mean(offsets: _Solved, people: int) -> _Solved:
    """Return offsets from the mean of the annotators that have one."""
    here = (offsets.counts[:people] > 0).to(offsets.estimate)
    here = here / here.sum(0).clamp(min=1)
    convention = (offsets.estimate[:people] * here[..., None]).sum(0)
    influence = (offsets.influence[:people] * here[:, None, :, None]).sum(0)
    there = (offsets.counts > 0)[..., None]
    return offsets._replace(
        estimate=torch.where(there, offsets.estimate - convention, 0),
        influence=torch.where(there[:, None], offsets.influence - influence, 0),
    )


def _shrunk(found: _Solved, people: int, curved: Tensor) -> Tensor:
    """Return the annotators' covariances ``(A, K, 3)``, shrunk, without negative ones.

    In axes in which the pooled covariance of a landmark is 1, an annotator's is about
    its scale, whatever the landmark.

    Args:
        found: Of the observers, annotators first.
        people: ``A``.
        curved: ``(K,)`` bool, landmarks on curves.
    """
    counts = found.counts[:people].double()
    estimate, influence = found.estimate[:people], found.influence[:people]
    known = counts * found.identified[:people]
    known = torch.where(known.any(0), known, counts)
    pooled = (known[..., None] * estimate).sum(0) / known.sum(0).clamp(min=1)[:, None]
    root, inverse = _roots(pooled)
    relative = _congruent(estimate, inverse)
    around = _congruent(influence, inverse)
    scale, typical = _scales(relative, around, counts, curved)
    typical = torch.cat((typical, torch.zeros_like(typical[..., :1])), -1)
    weight = torch.tensor([1.0, 1.0, 2.0]).to(scale)  # the third occurs twice
    apart = relative - typical
    # Standard errors are noisy themselves: those of an annotator are alike but for n.
    square = (around.square().sum(1) * weight).sum(-1) / 3
    one = (square * counts).sum(1) / (counts > 0).sum(1).clamp(min=1)
    square = torch.where(counts > 0, one[:, None] / counts.clamp(min=1), torch.inf)
    differ = (apart.square() * weight).sum(-1) / 3
    kept = _kept(differ, square, scale[:, None].square().expand_as(square))
    return _congruent(_nonnegative(typical + kept[..., None] * apart)[0], root)


def _scales(
    relative: Tensor, around: Tensor, counts: Tensor, curved: Tensor
) -> tuple[Tensor, Tensor]:
    """Return each annotator's scale ``(A,)``, and what it is typically ``(A, K, 2)``.

    On curves people differ in how far they slide: along, across and other landmarks
    have scales of their own, shrunk towards the annotator's, and that towards 1.
    """
    on, off = curved.to(relative), (~curved).to(relative)
    none = torch.zeros_like(on)
    kinds = [torch.stack(pair, -1) for pair in ((on, none), (none, on), (off, off))]
    values, around = relative[..., :2], around[..., :2]

    def mean(mask: Tensor) -> tuple[Tensor, Tensor]:
        share = counts[..., None] * mask
        share = share / share.sum((1, 2), keepdim=True).clamp(min=1)
        doubt = (around * share[:, None]).sum((2, 3)).square().sum(1)
        doubt = torch.where(share.any(2).any(1), doubt, torch.inf)
        return (values * share).sum((1, 2)), doubt

    scale, doubt = mean(torch.ones_like(kinds[0]))
    one = torch.ones_like(scale)
    scale = (1 + _kept((scale - 1).square(), doubt, one) * (scale - 1)).clamp(min=0)
    kind, doubt = (torch.stack(part, 1) for part in zip(*map(mean, kinds)))
    apart = kind - scale[:, None]
    size = scale[:, None].square().expand_as(apart)
    kind = (scale[:, None] + _kept(apart.square(), doubt, size) * apart).clamp(min=0)
    return scale, torch.einsum("ag,gkc->akc", kind, torch.stack(kinds))


def _kept(differ: Tensor, doubt: Tensor, size: Tensor) -> Tensor:
    """Return which share of differences from something typical is kept.

    Real ones vary by the same share of their size; it is estimated by moments.

    Args:
        differ: Squared differences.
        doubt: Squared standard errors; infinite where nothing is known.
        size: Square of what is typical.
    """
    size = size.clamp(min=_TINY)
    known = torch.isfinite(doubt)
    doubt = torch.where(known, doubt, 0)
    trust = torch.where(known, size / doubt.clamp(min=_TINY), 0)
    real = (trust * (differ - doubt) / size).sum() / trust.sum().clamp(min=_TINY)
    real = real.clamp(min=0) * size
    return torch.where(known, real / (real + doubt).clamp(min=_TINY), 0)


def _shrunk_offsets(offsets: Tensor, errors: Tensor) -> Tensor:
    """Return offsets ``(A, K, 2)``, shrunk towards none where they are uncertain."""
    squares = errors.square()
    trust = torch.where(squares > 0, 1 / squares.clamp(min=_TINY), 0)
    differ = (trust * (offsets.square() - squares)).sum()
    differ = (differ / trust.sum().clamp(min=_TINY)).clamp(min=0)
    return offsets * differ / (differ + squares).clamp(min=_TINY)


def _common(apart: Tensor, shared: Tensor, design: Tensor) -> Tensor:
    """Return the variance ``(M,)`` of one shift of a whole sample.

    That is the mean product of the same coordinate of two landmarks.
    """
    apart = torch.where(shared[..., None], apart, 0)
    number = shared.sum(2)
    products = apart.sum(2).square().sum(-1) - apart.square().sum((2, 3))
    products = products / (2 * number * (number - 1)).clamp(min=1)
    found = _solve(design, number[..., None] > 1, products[..., None, None])
    return found.estimate[:, 0, 0].clamp(min=0)


def _trust(
    placed: Tensor, weights: Tensor, visible: Tensor, people: int, clip: float
) -> Tensor:
    """Return by how much each observer counts, ``(M, N, K)``: see combine_observers."""
    total, weighted = weights.sum(0), _times(weights, placed).sum(0)
    rest = total - weights
    rest[..., :2] += _TINY
    mean = _times(_inverse(rest), weighted - _times(weights, placed))
    own = weights + 0.0
    own[..., :2] += _TINY
    spread = _inverse(own) + _inverse(rest)
    apart = placed - mean
    distance = (apart * _times(_inverse(spread), apart)).sum(-1).clamp(min=0).sqrt()
    distance = torch.where(visible & (visible.sum(0) > 2), distance, 0)
    worst = distance == distance.amax(0, keepdim=True)
    gross = worst & (distance > clip)
    gross[people:] = False
    return torch.where(gross, (clip / distance.clamp(min=clip)).square(), 1.0)


def _weighted(placed: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Return the mean ``(N, K, 2)`` by inverse covariances, and its covariance."""
    total = weights.sum(0)
    total[..., :2] += _TINY
    spread = _inverse(total)
    return _times(spread, _times(weights, placed).sum(0)), spread


# Symmetric 2 x 2 matrices as (..., 3): xx, yy, xy


def _products(vectors: Tensor) -> Tensor:
    x, y = vectors.unbind(-1)
    return torch.stack((x * x, y * y, x * y), -1)


def _times(matrix: Tensor, vectors: Tensor) -> Tensor:
    (xx, yy, xy), (x, y) = matrix.unbind(-1), vectors.unbind(-1)
    return torch.stack((xx * x + xy * y, xy * x + yy * y), -1)


def _inverse(matrix: Tensor) -> Tensor:
    xx, yy, xy = matrix.unbind(-1)
    size = ((xx + yy) / 2).clamp(min=_TINY)  # so that no product vanishes
    xx, yy, xy = xx / size, yy / size, xy / size
    determinant = (xx * yy - xy * xy).clamp(min=1e-12)
    return torch.stack((yy, xx, -xy), -1) / (determinant * size)[..., None]


def _turned(covariance: Tensor, along: Tensor) -> Tensor:
    """Return covariances along and across as xx, yy, xy."""
    (x, y), (aa, cc, ac) = along.unbind(-1), covariance.unbind(-1)
    xx = x * x * aa + y * y * cc - 2 * x * y * ac
    xy = x * y * (aa - cc) + (x * x - y * y) * ac
    return torch.stack((xx, aa + cc - xx, xy), -1)


def _full(matrix: Tensor) -> Tensor:
    xx, yy, xy = matrix.unbind(-1)
    return torch.stack((xx, xy, xy, yy), -1).unflatten(-1, (2, 2))


def _short(matrix: Tensor) -> Tensor:
    return torch.stack((matrix[..., 0, 0], matrix[..., 1, 1], matrix[..., 0, 1]), -1)


def _congruent(matrix: Tensor, by: Tensor) -> Tensor:
    """Return ``B S B`` of ``S (..., K, 3)`` and symmetric ``B (K, 2, 2)``."""
    return _short(by @ _full(matrix) @ by)


def _nonnegative(matrix: Tensor) -> tuple[Tensor, Tensor]:
    """Return matrices without negative eigenvalues, and which had some."""
    values, vectors = torch.linalg.eigh(_full(matrix))
    made = (vectors * values.clamp(min=0)[..., None, :]) @ vectors.mT
    return _short(made), (values < 0).any(-1)


def _roots(pooled: Tensor) -> tuple[Tensor, Tensor]:
    """Return the symmetric roots ``(K, 2, 2)`` of covariances and of their inverses."""
    values, vectors = torch.linalg.eigh(_full(pooled))
    least = _THINNEST * values.clamp(min=0).mean() + _TINY
    root = values.clamp(min=least).sqrt()[..., None, :]
    return (vectors * root) @ vectors.mT, (vectors / root) @ vectors.mT
