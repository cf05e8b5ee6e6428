"""The confidence below which a landmark is better taken from a refiner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

MODES = ("threshold", "blend", "replace")
CANDIDATES = np.arange(0, 1.525, 0.025)


def refined_share(confidence: Tensor, threshold: Tensor, mode: str) -> Tensor:
    """How much of the refiner's position each landmark takes, 0 to 1.

    Args:
        confidence: ``(B, K)``.
        threshold: ``(K,)``.
        mode: ``'threshold'``: all of it below the threshold; ``'blend'``: all of it
            below half the threshold, and linearly less up to the threshold;
            ``'replace'``: all of it.

    Returns:
        ``(B, K)``.
    """
    if mode == "replace":
        return torch.ones_like(confidence)
    below = (confidence < threshold).to(confidence)
    if mode == "threshold":
        return below
    # A threshold of 0 or less corrects nothing that is not below it.
    return below * (2 - 2 * confidence / threshold.clamp_min(1e-9)).clamp(0, 1)


@dataclass
class Measured:
    """What a detector and a refiner found on some faces.

    Attributes:
        confidence: ``(N, K)`` of the detector's landmarks.
        truth: ``(N, K, 2)``; NaN for landmarks that are not labelled.
        detected: ``(N, K, 2)`` the detector's landmarks.
        refined: ``(N, K, 2)`` the refiner's.
        unit: ``(N,)`` the length that errors are divided by.
    """

    confidence: np.ndarray
    truth: np.ndarray
    detected: np.ndarray
    refined: np.ndarray
    unit: np.ndarray

    def combined(self, threshold: np.ndarray, mode: str = "threshold") -> np.ndarray:
        """``(N, K, 2)`` what becomes of both under a threshold."""
        share = refined_share(
            torch.as_tensor(self.confidence), torch.as_tensor(threshold), mode
        ).numpy()[..., None]
        return (1 - share) * self.detected + share * self.refined

    def errors(self, positions: np.ndarray) -> np.ndarray:
        """``(N, K)`` errors over the unit, NaN where not labelled."""
        distance = np.linalg.norm(positions - self.truth, axis=-1)
        return distance / self.unit[:, None]


def choose_threshold(
    clean: Measured,
    degraded: Measured,
    mode: str = "threshold",
    tolerance: float = 0.002,
) -> tuple[np.ndarray, list[dict]]:
    """The threshold of least error on degraded faces that spares clean ones.

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
            errors = faces.errors(faces.combined(threshold, mode))
            row[f"corrected_{name}"] = float(np.mean(faces.confidence < threshold))
            row[name] = float(np.nanmean(errors))
        curve.append(row)
    # A factor of 0 corrects nothing: it is always allowed.
    limit = (1 + tolerance) * curve[0]["clean"]
    allowed = [row for row in curve if row["clean"] <= limit]
    best = min(allowed, key=lambda row: row["degraded"])
    for row in curve:
        row["chosen"] = row is best
    return best["factor"] * median, curve
