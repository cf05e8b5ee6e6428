"""Which annotations does a model, trained on them, not believe?"""

from __future__ import annotations

import numpy as np

from semamb_mm.faces.sizes import sample_sizes

# Chosen on seed 0 of studies/audit_precision.py.
THRESHOLD = 8.0

_CLIP = 3.0  # robust standard deviations
_SHRINKAGE = 0.1
_RAYLEIGH_MEDIAN = 1.1774  # of the length of a 2D standard normal vector


def suspicion(
    annotations: np.ndarray, predictions: np.ndarray, confidences: np.ndarray
) -> np.ndarray:
    """Return how unusual each annotation is in the model's eyes.

    The difference between annotation and prediction, in units of the face's size,
    less what the differences of the face's other landmarks let expect (a model that
    misjudges a face misjudges neighbours alike; other landmarks' outliers count with
    3 robust standard deviations at most), divided by the robust spread of that
    remainder over the data set, landmark by landmark, direction by direction: 1 is
    usual, whatever the landmark's ambiguity. Times the heatmap's confidence relative
    to the landmark's median, at most 1.

    An annotation that slid along a contour together with its neighbours is not
    unusual in this sense.

    Args:
        annotations: ``(N, K, 2)`` image pixels, NaN where not annotated.
        predictions: ``(N, K, 2)`` image pixels.
        confidences: ``(N, K)`` keypoint scores.

    Returns:
        ``(N, K)``, NaN where not annotated.

    Raises:
        ValueError: On shapes that disagree, predictions that are not finite, or
            fewer than ten samples.
    """
    annotations = np.asarray(annotations, np.float64)
    predictions = np.asarray(predictions, np.float64)
    confidences = np.asarray(confidences, np.float64)
    _check(annotations, predictions, confidences)
    known = np.isfinite(annotations).all(-1)
    if not known.any():
        raise ValueError("no landmark is annotated")

    shown = np.where(known[..., None], annotations, np.nan)
    size = sample_sizes(annotations, known)[:, None, None]
    unexplained = _unexplained((shown - predictions) / size)

    scores = np.full(known.shape, np.nan)
    for k in np.flatnonzero(known.any(0)):
        rows = known[:, k]
        scores[rows, k] = _robust_distance(unexplained[rows, k])
    return scores * _relative_confidence(confidences, known)


def check_number(samples: int) -> None:
    """Refuse to say what is usual of too few samples.

    Raises:
        ValueError: If there are fewer than 10.
    """
    if samples < 10:
        raise ValueError(
            f"{samples} samples do not show what is usual: an audit needs 10 at least"
        )


def _check(
    annotations: np.ndarray, predictions: np.ndarray, confidences: np.ndarray
) -> None:
    if annotations.ndim != 3 or annotations.shape[-1] != 2:
        raise ValueError(f"annotations must be (N, K, 2), got {annotations.shape}")
    if (predictions.shape, confidences.shape) != (
        annotations.shape,
        annotations.shape[:2],
    ):
        raise ValueError(
            f"annotations {annotations.shape}, predictions {predictions.shape} and "
            f"confidences {confidences.shape} must be of the same faces and landmarks"
        )
    check_number(len(annotations))
    if not (np.isfinite(predictions).all() and np.isfinite(confidences).all()):
        raise ValueError("predictions and confidences must be finite")


def _unexplained(difference: np.ndarray) -> np.ndarray:
    """Take from differences what those of the face's other landmarks let expect.

    Args:
        difference: ``(N, K, 2)``, NaN where not annotated; another landmark's counts
            with 3 robust standard deviations at most.

    Returns:
        ``(N, K, 2)``.
    """
    samples, landmarks = difference.shape[:2]
    difference = difference.reshape(samples, -1).copy()
    difference[:, np.isnan(difference).all(0)] = 0
    difference -= np.nanmedian(difference, 0)
    spread = np.maximum(1.4826 * np.nanmedian(abs(difference), 0), 1e-9)
    difference = np.nan_to_num(difference)
    clipped = np.clip(difference, -_CLIP * spread, _CLIP * spread)
    covariance = clipped.T @ clipped / samples
    shrinkage = max(_SHRINKAGE, 2 * landmarks / samples)
    covariance += np.diag(shrinkage * np.diag(covariance) + 1e-18)
    # A regression of each coordinate on all others, read off the inverse.
    precision = np.linalg.inv(covariance)
    unexplained = clipped @ precision / np.diag(precision) + difference - clipped
    return unexplained.reshape(samples, landmarks, 2)


def _relative_confidence(confidences: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return ``(N, K)``: the confidence over the landmark's median, at most 1."""
    usual = np.array(
        [
            np.median(c[rows]) if rows.any() else 1
            for c, rows in zip(confidences.T, known.T)
        ]
    )
    return np.clip(confidences / np.maximum(usual, 1e-9), 0, 1)


def _robust_distance(points: np.ndarray) -> np.ndarray:
    """Return Mahalanobis lengths ``(N,)`` of ``(N, 2)``, outliers left out."""
    lengths, inside = np.zeros(len(points)), np.ones(len(points), bool)
    for _ in range(5):
        if inside.sum() < 3:
            break
        covariance = np.cov(points[inside].T) + 1e-18 * np.eye(2)
        inverse = np.linalg.inv(covariance)
        lengths = np.sqrt(np.einsum("ni,ij,nj->n", points, inverse, points))
        lengths /= max(np.median(lengths) / _RAYLEIGH_MEDIAN, 1e-12)
        inside = lengths < _CLIP + 0.5
    return lengths
