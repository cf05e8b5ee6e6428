"""Consensus as it was before it worked in chunks, all in float64 and at once.

Word for word, but for the checks of arguments.
"""

import torch

from semamb_mm.functional import curve_tangents

_CLIP_ROUNDS = 10


def former_consensus(
    observed,
    found,
    *,
    curves=(),
    sliding=(),
    noise_share=0.9,
    slide_share=0.3,
    clip=3.0,
    shrinkage=None,
    visible=None,
):
    """Return targets."""
    seen = torch.ones(observed.shape[:2], dtype=torch.bool)
    if visible is not None:
        seen = visible > 0
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
    unexplained = noise_share * (1 - model.shrinkage**2) * model.unexplained
    noise = _noise(unexplained, sliding, slide_share)
    network = _nonnegative(model.covariance - noise)
    kept = torch.linalg.solve(network + noise, network)
    moves = model.centred @ kept - model.centred + usual - difference
    moves = (axes.mT @ moves.view(samples, landmarks, 2, 1))[..., 0]
    moves = torch.where(seen[..., None], moves, 0)
    return (observed + moves.to(observed.dtype)).to(observed.dtype)


def _axes(points, curves, seen):
    """Return each landmark's axes ``(N, K, 2, 2)``: (tangent, normal) or (x, y)."""
    along = curve_tangents(points, curves, seen)
    upright = torch.tensor([1.0, 0.0], dtype=along.dtype, device=along.device)
    along = torch.where(along.any(-1, keepdim=True), along, upright)
    return torch.stack((along, along.flip(-1) * along.new_tensor([-1, 1])), dim=-2)


def _noise(unexplained, sliding, slide_share: float):
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

    def __init__(self, difference, counted, shrinkage: "float | None"):
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
        self.shrinkage = (
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

    def clip(self, difference, clip: float):
        """Return differences within ``clip`` deviations of what explains them."""
        explained = self.mean + self.centred - self.residual
        limit = clip * self.deviation
        return explained + (difference - explained).clamp(-limit, limit)


def _nonnegative(matrix):
    """Return a symmetric matrix without its negative eigenvalues."""
    values, vectors = torch.linalg.eigh(matrix)
    return (vectors * values.clamp(min=0)) @ vectors.T


def _clip_marginally(difference, counted, clip: float):
    """Return differences within ``clip`` robust deviations of their median."""
    known = torch.where(counted, difference, torch.nan)
    median = known.nanmedian(0).values.nan_to_num()
    deviation = 1.4826 * (known - median).abs().nanmedian(0).values.nan_to_num()
    limit = torch.where(deviation > 0, clip * deviation, torch.inf)
    return median + (difference - median).clamp(-limit, limit)


def _shrinkage(difference, covariance, pairs):
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
