"""The confidence below which a landmark is better taken from a refiner."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

CANDIDATES = np.arange(0, 1.525, 0.025)


@dataclass
class Measured:
    """What a detector and a refiner did on some faces.

    Attributes:
        confidence: ``(N, K)`` of the detector's landmarks.
        detected: ``(N, K)`` errors of the detector, relative to the face's size;
            NaN for landmarks that are not labelled.
        refined: ``(N, K)`` errors of the refiner, the same.
    """

    confidence: np.ndarray
    detected: np.ndarray
    refined: np.ndarray

    def combined(self, threshold: np.ndarray | float) -> np.ndarray:
        """``(N, K)`` errors with landmarks below the threshold(s) refined."""
        return np.where(self.confidence < threshold, self.refined, self.detected)


def choose_threshold(
    clean: Measured, degraded: Measured, tolerance: float = 0.002
) -> tuple[np.ndarray, list[dict]]:
    """The threshold of least error on degraded faces that spares clean ones.

    A heatmap's height differs from landmark to landmark, and so does what is low:
    the threshold is one factor times each landmark's median confidence on clean
    faces.

    Args:
        clean: On faces as they are. Training data, as everything chosen should be.
        degraded: On occluded and low-quality ones.
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
            row[f"corrected_{name}"] = float(np.mean(faces.confidence < threshold))
            row[name] = float(np.nanmean(faces.combined(threshold)))
        curve.append(row)
    # A factor of 0 corrects nothing: it is always allowed.
    limit = (1 + tolerance) * curve[0]["clean"]
    allowed = [row for row in curve if row["clean"] <= limit]
    best = min(allowed, key=lambda row: row["degraded"])
    for row in curve:
        row["chosen"] = row is best
    return best["factor"] * median, curve
