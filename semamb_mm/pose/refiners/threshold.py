"""The confidence below which a landmark is better taken from a refiner."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

MODES = ("threshold", "blend", "replace")
CANDIDATES = np.arange(0, 1.525, 0.025)


def neighbour_weights(positions: Tensor, neighbourhood: float) -> Tensor | None:
    """Return how much each landmark's confidence says of each other one.

    What covers a landmark covers its neighbours too, and a detector may be sure of
    one of them by mistake.

    Args:
        positions: ``(B, K, 2)`` of the whole face, best those of the refiner.
        neighbourhood: Standard deviation of a Gaussian of the distance, as a share of
            the face's size, the root of its box's area. 0: each landmark alone.

    Returns:
        ``(B, K, K)``, 1 for a landmark itself; None for each alone.
    """
    if not neighbourhood:
        return None
    sides = positions.amax(1) - positions.amin(1)
    size = sides.prod(-1).clamp_min(1e-12).sqrt()[:, None, None]
    offsets = positions[:, :, None] - positions[:, None]
    squares = offsets.square().sum(-1) / (neighbourhood * size) ** 2
    return torch.exp(-squares / 2)


def relative_confidence(
    confidence: Tensor, threshold: Tensor, weights: Tensor | None = None
) -> Tensor:
    """Return confidences over their thresholds, averaged over the neighbours.

    Ratios count up to 2, and those of thresholds that are not positive do not.

    Args:
        confidence: ``(B, K)``.
        threshold: ``(K,)``.
        weights: ``(B, K, K)`` of the neighbours; None for each alone.

    Returns:
        ``(B, K)``; infinite where the threshold is not positive.
    """
    counts = threshold > 0
    ratio = confidence / torch.where(counts, threshold, 1.0)
    if weights is not None:
        weights = weights * counts.to(ratio)
        ratio = (weights @ ratio.clamp(max=2)[..., None])[..., 0]
        ratio = ratio / weights.sum(-1).clamp_min(1e-12)
    return torch.where(counts, ratio, torch.inf)


def refined_share(ratio: Tensor, mode: str) -> Tensor:
    """Return how much of the refiner's position each landmark takes, 0 to 1.

    Args:
        ratio: ``(B, K)`` confidence over threshold, see :func:`relative_confidence`.
        mode: ``'threshold'``: all of it below 1; ``'blend'``: all of it below 0.5,
            and linearly less up to 1; ``'replace'``: all of it.

    Returns:
        ``(B, K)``.
    """
    if mode == "replace":
        return torch.ones_like(ratio)
    if mode == "threshold":
        return (ratio < 1).to(ratio)
    return (2 - 2 * ratio).clamp(0, 1)


@dataclass
class Measured:
    """What a detector and a refiner found on some faces.

    Attributes:
        confidence: ``(N, K)`` of the detector's landmarks.
        truth: ``(N, K, 2)``; NaN for landmarks that are not labelled.
        detected: ``(N, K, 2)`` the detector's landmarks.
        refined: ``(N, K, 2)`` the refiner's.
        unit: ``(N,)`` the length that errors are divided by.
        neighbourhood: See :func:`neighbour_weights`.
    """

    confidence: np.ndarray
    truth: np.ndarray
    detected: np.ndarray
    refined: np.ndarray
    unit: np.ndarray
    neighbourhood: float = 0.0

    def share(self, threshold: np.ndarray, mode: str = "threshold") -> np.ndarray:
        """Return how much of the refiner's position each landmark takes, ``(N, K)``."""
        confidence, threshold = (
            torch.as_tensor(a, dtype=torch.float64)
            for a in (self.confidence, threshold)
        )
        ratio = relative_confidence(confidence, threshold, self._weights)
        return refined_share(ratio, mode).numpy()

    @cached_property
    def _weights(self) -> Tensor | None:
        positions = torch.as_tensor(self.refined, dtype=torch.float64)
        return neighbour_weights(positions, self.neighbourhood)

    def combined(self, threshold: np.ndarray, mode: str = "threshold") -> np.ndarray:
        """Return what becomes of both under a threshold, ``(N, K, 2)``."""
        return self.mixed(self.share(threshold, mode))

    def mixed(self, share: np.ndarray) -> np.ndarray:
        """Return the refiner's positions by ``(N, K)`` shares, ``(N, K, 2)``."""
        share = share[..., None]
        return (1 - share) * self.detected + share * self.refined

    def errors(self, positions: np.ndarray) -> np.ndarray:
        """Return errors over the unit, ``(N, K)``, NaN where not labelled."""
        distance = np.linalg.norm(positions - self.truth, axis=-1)
        return distance / self.unit[:, None]


def choose_threshold(
    clean: Measured,
    degraded: Measured,
    mode: str = "threshold",
    tolerance: float = 0.004,
) -> tuple[np.ndarray, list[dict]]:
    """Choose the threshold of least error on degraded faces that spares clean ones.

    A heatmap's height differs from landmark to landmark, and so does what is low:
    the threshold is one factor times each landmark's median confidence on clean
    faces.

    Args:
        clean: On faces as they are. Training data, as everything chosen should be.
        degraded: On occluded and low-quality ones.
        mode: ``'threshold'`` or ``'blend'``, see :func:`refined_share`.
        tolerance: How much larger the error on clean faces may become, relative
            to the detector's.

    Returns:
        ``(K,)`` thresholds, and the curve: a dict for each factor tried, of
        ``factor``, ``corrected_clean`` and ``corrected_degraded`` (shares of the
        landmarks), ``clean`` and ``degraded`` (mean errors) and ``chosen``.
    """
    median = np.median(clean.confidence, axis=0)
    curve = []
    for factor in CANDIDATES:
        threshold = factor * median
        row = dict(factor=float(factor))
        for name, faces in (("clean", clean), ("degraded", degraded)):
            share = faces.share(threshold, mode)
            row[f"corrected_{name}"] = float(np.mean(share > 0))
            row[name] = float(np.nanmean(faces.errors(faces.mixed(share))))
        curve.append(row)
    # A factor of 0 corrects nothing: it is always allowed.
    limit = (1 + tolerance) * curve[0]["clean"]
    allowed = [row for row in curve if row["clean"] <= limit]
    best = min(allowed, key=lambda row: row["degraded"])
    for row in curve:
        row["chosen"] = row is best
    return best["factor"] * median, curve
