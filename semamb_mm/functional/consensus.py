"""Targets from a whole data set's annotations and search results together.

Ours, not the paper's. The paper's prior ``P(o | y)`` takes every landmark for
itself and needs to be told how noisy its annotation is. Over a data set that can
be measured. An annotator's slip at one landmark says nothing about the next one; a
network that misjudges a face misjudges neighbouring landmarks alike. So what a
landmark's difference between annotation and network shares with the other
landmarks' differences is the network's error, and what it does not share is the
annotator's.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import first_not_finite, which_count
from .curves import curve_tangents

_CLIP_ROUNDS = 10


def consensus_targets(
    observed: Tensor,
    found: Tensor,
    *,
    curves: Sequence[Sequence[int]] = (),
    sliding: Sequence[Sequence[int]] = (),
    noise_share: float = 0.9,
    slide_share: float = 0.3,
    clip: float = 3.0,
    shrinkage: float | None = None,
    visible: Tensor | None = None,
    spread: Tensor | None = None,
    counts: Tensor | None = None,
    network_share: float = 1.0,
) -> Tensor:
    """Return the most likely landmarks, given annotations and search results.

    With ``y`` the real landmarks, all coordinates of a face in one vector,
    ``o = y + e`` the annotations and ``p = y + n`` what the search found, ``e``
    and ``n`` independent with covariances ``E`` and ``N``, the best linear
    estimate is ``y = p + N C^-1 (o - p)``, ``C = E + N`` being the covariance of
    ``o - p``. ``C`` is measured over the samples, its correlations shrunk towards
    none by the share ``a``, the more the fewer the samples (Schaefer and Strimmer
    2005). What the other coordinates do not explain of coordinate ``j`` (Guttman
    1953) is taken for the annotator's own: ``E = noise_share * (1 - a^2) *
    diag(u)`` with ``u_j = |r_j|^2 / (n - 1 - tr(2 S - S^2))``. Here ``r_j`` is the
    residual of the ridge regression on the others that belongs to ``a``, and ``S =
    (1 - a) C ((1 - a) C + a diag(C))^-1`` stands for its smoother (Hastie and
    Tibshirani 1990, section 3.5). Landmarks of a curve that has no definite ends,
    such as a face's contour, may also slide along it together; their coordinates
    along it get the covariance ``slide_share / (1 - slide_share) * sqrt(E_i E_j)``
    on top. ``N`` is ``C - E`` without its negative eigenvalues. The mean of ``o -
    p`` is kept: where all annotators agree, they define the landmark.

    Args:
        observed: ``(N, K, 2)`` annotated ``(x, y)``, each face in units of its
            own size.
        found: ``(N, K, 2)`` what the search found for the same landmarks, in the
            same units; best averaged over several views.
        curves: Landmark indices of open curves, see :func:`curve_tangents`. On
            them errors are told apart along and across; elsewhere in x and y.
        sliding: Those curves on which all landmarks may slide together.
        noise_share: Share of the unexplained variance that is taken for the
            annotators', in [0, 1]; 0 takes back gross errors only.
        slide_share: Share of an annotator's variance along a sliding curve that
            is common to the whole curve, in [0, 1).
        clip: An annotation further from what the others explain than so many
            deviations is a gross error: what is beyond is taken back in full, and
            neither moves other landmarks nor counts in ``C`` (Huber's winsorizing).
        shrinkage: ``a`` in (0, 1], if it shall not be estimated. At 1, as with a
            handful of samples, nothing can be told apart: all but gross errors stay.
        visible: ``(N, K)``; landmarks with 0 keep their annotation and count
            nowhere.
        spread: ``(N, K, 3)`` covariance ``xx, yy, xy`` of a single view around the
            mean over views that ``found`` is, in ``observed``'s units squared. It
            bounds the network's own error, which is taken off what the others do not
            explain before the rest counts as the annotator's. Looked at where a
            landmark was searched twice or more; landmarks for which no sample has
            one stay as they are. Without it all that is unexplained is the
            annotator's.
        counts: ``(N, K)`` how often each landmark was searched. Those with 0 keep
            their annotation and count nowhere. With ``spread`` it defaults to 2.
        network_share: Variance of a landmark's own error that is the same in all
            views, at most, as a multiple of ``spread``. The other views cannot show
            it. The mean over ``m`` views is taken to err by ``(network_share + 1 /
            m) * spread``.

    Returns:
        ``(N, K, 2)`` targets, of ``observed``'s dtype; of fewer than two samples, the
        annotations.

    Raises:
        ValueError: On shapes that disagree, values that are not finite at
            visible landmarks, options out of range, or a sliding curve that is not
            among ``curves``.

    Example:
        >>> truth = torch.randn(200, 1, 2).expand(200, 8, 2)
        >>> noisy = truth + 0.1 * torch.randn(200, 8, 2)
        >>> found = truth + 0.1 * torch.randn(200, 1, 2)
        >>> targets = consensus_targets(noisy, found)
        >>> bool((targets - truth).norm() < 0.6 * (noisy - truth).norm())
        True
    """
    _check_options(noise_share, slide_share, clip, shrinkage, network_share)
    seen = _check(observed, found, visible, spread, counts)
    if len(observed) < 2:
        return observed.clone()
    curves = [list(curve) for curve in curves]
    for curve in sliding:
        if list(curve) not in curves:
            raise ValueError(f"sliding curve {list(curve)} is not among the curves")
    samples, landmarks, _ = observed.shape
    o = torch.where(seen[..., None], observed, 0).double()
    p = torch.where(seen[..., None], found, 0).double()

    axes = _axes(p, curves, seen)
    difference = (axes @ (o - p)[..., None]).flatten(1)
    counted = seen.repeat_interleave(2, dim=1)
    usual = _clip_marginally(difference, counted, clip)
    for _ in range(_CLIP_ROUNDS):
        model = _Differences(usual, counted, shrinkage)
        usual = model.clip(difference, clip)
    model = _Differences(usual, counted, shrinkage)

    # Where no correlation can be measured nothing can be told apart.
    own = _own_error(spread, counts, axes, seen, network_share)
    unexplained = (noise_share * model.unexplained - own).clamp(min=0)
    unexplained = (1 - model.shrinkage**2) * unexplained
    noise = _noise(unexplained, sliding, slide_share)
    network = _nonnegative(model.covariance - noise)
    kept = torch.linalg.solve(network + noise, network)
    # A gross error may be the network's where its own error explains the rest.
    gross = (1 - own / model.unexplained.clamp(min=1e-300)).clamp(0, 1)
    moves = model.centred @ kept - model.centred + gross * (usual - difference)
    moves = (axes.mT @ moves.view(samples, landmarks, 2, 1))[..., 0]
    moves = torch.where(seen[..., None], moves, 0)
    return (observed + moves.to(observed.dtype)).to(observed.dtype)


def _own_error(
    spread: Tensor | None,
    counts: Tensor | None,
    axes: Tensor,
    seen: Tensor,
    network_share: float,
) -> Tensor:
    """Return the variance ``(2 K,)`` of each coordinate's own network error, at most.

    Infinite where no sample has a spread.
    """
    if spread is None:
        return axes.new_zeros(2 * axes.shape[1])
    if counts is None:
        counts = torch.full_like(seen, 2, dtype=torch.int)
    known = seen & (counts > 1) & torch.isfinite(spread).all(-1)
    xx, yy, xy = torch.where(known[..., None], spread, 0).to(axes).unbind(-1)
    matrix = torch.stack((xx, xy, xy, yy), -1).view(*xx.shape, 2, 2)
    own = (axes @ matrix @ axes.mT).diagonal(dim1=-2, dim2=-1)
    own = own * (network_share + 1 / counts.clamp(min=1).to(axes))[..., None]
    number = known.sum(0)
    own = own.sum(0) / number.clamp(min=1)[:, None]
    return own.masked_fill((number == 0)[:, None], torch.inf).flatten()


def _axes(points: Tensor, curves: Sequence[Sequence[int]], seen: Tensor) -> Tensor:
    """Return each landmark's axes ``(N, K, 2, 2)``: (tangent, normal) or (x, y)."""
    along = curve_tangents(points, curves, seen)
    upright = torch.tensor([1.0, 0.0], dtype=along.dtype, device=along.device)
    along = torch.where(along.any(-1, keepdim=True), along, upright)
    return torch.stack((along, along.flip(-1) * along.new_tensor([-1, 1])), dim=-2)


def _noise(
    unexplained: Tensor, sliding: Sequence[Sequence[int]], slide_share: float
) -> Tensor:
    """Return the annotators' covariance ``E (2 K, 2 K)``."""
    noise = torch.diag(unexplained)
    for curve in sliding:
        index = 2 * torch.as_tensor(list(curve), device=noise.device)
        deviation = unexplained[index].sqrt()
        common = slide_share / (1 - slide_share) * torch.outer(deviation, deviation)
        noise[index[:, None], index] += common
    return noise


class _Differences:
    """Covariance of differences ``(N, 2 K)``, and what explains each of them.

    Attributes:
        mean: ``(2 K,)``.
        centred: The differences without it, 0 where not counted.
        shrinkage: ``a``.
        covariance: ``(1 - a) C + a diag(C)``; 1 on the diagonal of coordinates
            without any difference, so that they stay as they are.
        deviation: ``(2 K,)``, of the residual, from the covariance.
        residual: ``(N, 2 K)``, what the other coordinates do not explain.
        unexplained: ``(2 K,)``, its variance ``u``.
    """

    def __init__(self, difference: Tensor, counted: Tensor, shrinkage: float | None):
        counted = counted.to(difference)
        number = counted.sum(0)
        self.mean = (difference * counted).sum(0) / number.clamp(min=1)
        self.centred = (difference - self.mean) * counted
        pairs = (counted.T @ counted).clamp(min=1)
        # Over pairs where not all are counted it may have negative eigenvalues.
        covariance = _nonnegative(self.centred.T @ self.centred / pairs)
        still = ~self.centred.any(0)
        covariance = covariance.masked_fill(still | still[:, None], 0)
        variance = covariance.diagonal()
        self.shrinkage: Tensor | float = (
            _shrinkage(self.centred, covariance, pairs)
            if shrinkage is None
            else shrinkage
        )
        shrunk = (1 - self.shrinkage) * covariance
        spread = torch.where(still, 1, self.shrinkage * variance)
        self.covariance = shrunk + torch.diag(spread)
        precision = torch.linalg.inv(self.covariance)
        self.deviation = precision.diagonal().rsqrt()
        self.residual = self.centred @ precision / precision.diagonal()
        smoother = shrunk @ precision
        freedom = 2 * smoother.trace() - (smoother @ smoother).trace()
        squares = (self.residual * counted).square().sum(0)
        self.unexplained = squares / (number - 1 - freedom).clamp(min=1)
        self.unexplained = torch.minimum(self.unexplained, variance)

    def clip(self, difference: Tensor, clip: float) -> Tensor:
        """Return differences within ``clip`` deviations of what explains them."""
        explained = self.mean + self.centred - self.residual
        limit = clip * self.deviation
        return explained + (difference - explained).clamp(-limit, limit)


def _nonnegative(matrix: Tensor) -> Tensor:
    """Return a symmetric matrix without its negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0)) @ vectors.T


def _clip_marginally(difference: Tensor, counted: Tensor, clip: float) -> Tensor:
    """Return differences within ``clip`` robust deviations of their median."""
    known = torch.where(counted, difference, torch.nan)
    median = known.nanmedian(0).values.nan_to_num()
    deviation = 1.4826 * (known - median).abs().nanmedian(0).values.nan_to_num()
    limit = torch.where(deviation > 0, clip * deviation, torch.inf)
    return median + (difference - median).clamp(-limit, limit)


def _shrinkage(difference: Tensor, covariance: Tensor, pairs: Tensor) -> Tensor:
    """Return how far to shrink correlations to none (Schaefer and Strimmer 2005)."""
    deviation = covariance.diagonal().sqrt()
    scale = torch.where(deviation > 0, deviation, torch.inf)
    correlation = covariance / torch.outer(scale, scale)
    squares = (difference / scale) ** 2
    uncertain = squares.T @ squares / pairs - correlation**2
    uncertain = uncertain * pairs**2 / (pairs - 1).clamp(min=1) ** 3
    others = 1 - torch.eye(len(scale), dtype=scale.dtype, device=scale.device)
    strength = (correlation**2 * others).sum().clamp(min=torch.finfo(scale.dtype).tiny)
    least = 1 / len(difference)
    return ((uncertain * others).sum() / strength).clamp(least, 1)


def _check(
    observed: Tensor,
    found: Tensor,
    visible: Tensor | None,
    spread: Tensor | None,
    counts: Tensor | None,
) -> Tensor:
    """Return which landmarks count, ``(N, K)`` bool; refuse bad arguments."""
    if observed.dim() != 3 or observed.shape[-1] != 2:
        raise ValueError(f"observed must be (N, K, 2), got {tuple(observed.shape)}")
    if found.shape != observed.shape:
        raise ValueError(
            f"found must be {tuple(observed.shape)} like observed, got "
            f"{tuple(found.shape)}"
        )
    seen = which_count(observed, visible)
    if counts is not None:
        if counts.shape != seen.shape:
            raise ValueError(
                f"counts must be {tuple(seen.shape)}, got {tuple(counts.shape)}"
            )
        seen = seen & (counts > 0)
    if spread is not None and spread.shape != (*seen.shape, 3):
        raise ValueError(
            f"spread must be {(*seen.shape, 3)}, got {tuple(spread.shape)}"
        )
    wrong = first_not_finite(torch.cat((observed, found), -1), seen)
    if wrong is not None:
        sample, landmark = wrong
        raise ValueError(
            f"sample {sample}, landmark {landmark}: observed "
            f"{observed[sample, landmark].tolist()} and found "
            f"{found[sample, landmark].tolist()} must be finite where visible"
        )
    return seen


def _check_options(
    noise_share: float,
    slide_share: float,
    clip: float,
    shrinkage: float | None,
    network_share: float,
) -> None:
    if not 0 <= noise_share <= 1:
        raise ValueError(f"noise_share must be in [0, 1], got {noise_share}")
    if not 0 <= slide_share < 1:
        raise ValueError(f"slide_share must be in [0, 1), got {slide_share}")
    if not clip > 0:
        raise ValueError(f"clip must be positive, got {clip}")
    if shrinkage is not None and not 0 < shrinkage <= 1:
        raise ValueError(f"shrinkage must be in (0, 1], got {shrinkage}")
    if not network_share >= 0:
        raise ValueError(f"network_share must not be negative, got {network_share}")
