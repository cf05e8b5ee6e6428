"""How unusual an annotation is, beside a prediction, and beside other annotations."""

from __future__ import annotations

import numpy as np

from semamb_mm.faces.sizes import sample_sizes

# Of :func:`suspicion`. Chosen on seed 0 of a study in which 5 % were wrong.
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

    It says nothing of how many of the highest are wrong: :func:`decide` does.

    Args:
        annotations: ``(N, K, 2)`` image pixels, NaN where not annotated.
        predictions: ``(N, K, 2)`` image pixels.
        confidences: ``(N, K)`` keypoint scores.

    Returns:
        ``(N, K)``, NaN where not annotated.

    Raises:
        ValueError: See :func:`checked`.
    """
    annotations, predictions, confidences = checked(
        annotations, predictions, confidences
    )
    known = np.isfinite(annotations).all(-1)
    size = sample_sizes(annotations, known)[:, None, None]
    difference = (annotations - predictions) / size
    unexplained = Unexplained(difference)(difference)
    return Usual(unexplained)(unexplained) * relative_confidence(confidences, known)


def check_number(samples: int) -> None:
    """Refuse to say what is usual of too few samples.

    Raises:
        ValueError: If there are fewer than 10.
    """
    if samples < 10:
        raise ValueError(
            f"{samples} samples do not show what is usual: an audit needs 10 at least"
        )


def checked(
    annotations: np.ndarray, predictions: np.ndarray, confidences: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the arrays of an audit in float64; NaN wherever not annotated.

    Raises:
        ValueError: On shapes that disagree, predictions that are not finite, nothing
            annotated, or fewer than ten samples.
    """
    annotations = np.array(annotations, np.float64)
    predictions = np.asarray(predictions, np.float64)
    confidences = np.asarray(confidences, np.float64)
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
    annotations[~np.isfinite(annotations).all(-1)] = np.nan
    if np.isnan(annotations).all():
        raise ValueError("no landmark is annotated")
    return annotations, predictions, confidences


class Unexplained:
    """Takes from points what the other landmarks of their sample let expect.

    A linear regression of each coordinate on all others, fitted on a data set, in
    which a coordinate counts with 3 robust standard deviations at most.

    Args:
        points: ``(N, K, 2)`` differences or aligned shapes; NaN where not known.
    """

    def __init__(self, points: np.ndarray) -> None:
        samples, landmarks = points.shape[:2]
        flat = points.reshape(samples, -1).copy()
        flat[:, np.isnan(flat).all(0)] = 0
        self._center = np.nanmedian(flat, 0)
        flat -= self._center
        self._reach = _CLIP * np.maximum(1.4826 * np.nanmedian(abs(flat), 0), 1e-9)
        clipped = np.clip(np.nan_to_num(flat), -self._reach, self._reach)
        covariance = clipped.T @ clipped / samples
        shrinkage = max(_SHRINKAGE, 2 * landmarks / samples)
        covariance += np.diag(shrinkage * np.diag(covariance) + 1e-18)
        # A regression of each coordinate on all others, read off the inverse.
        precision = np.linalg.inv(covariance)
        self._weights = precision / np.diag(precision)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return the rest ``(N, K, 2)`` of points ``(N, K, 2)``; NaN stays NaN."""
        flat = points.reshape(len(points), -1) - self._center
        clipped = np.clip(np.nan_to_num(flat), -self._reach, self._reach)
        rest = clipped @ self._weights + flat - clipped
        return rest.reshape(points.shape)


class Usual:
    """Lengths in units of what is usual for a landmark and a direction.

    Args:
        points: ``(N, K, 2)`` around 0, NaN where not known; outliers are left out.
    """

    def __init__(self, points: np.ndarray) -> None:
        known = np.isfinite(points).all(-1)
        self._inverse = np.stack(
            [_inverse_covariance(points[rows, k]) for k, rows in enumerate(known.T)]
        )

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return Mahalanobis lengths ``(N, K)``; the usual one is 1.18."""
        squares = np.einsum("nki,kij,nkj->nk", points, self._inverse, points)
        return np.sqrt(np.maximum(squares, 0))


def _inverse_covariance(points: np.ndarray) -> np.ndarray:
    """Return the robust one ``(2, 2)`` of ``(N, 2)``; of none, ones."""
    inverse: np.ndarray = np.eye(2)
    inside = np.ones(len(points), bool)
    for _ in range(5):
        if inside.sum() < 3:
            break
        inverse = np.linalg.inv(np.cov(points[inside].T) + 1e-18 * np.eye(2))
        squares = np.einsum("ni,ij,nj->n", points, inverse, points)
        lengths = np.sqrt(np.maximum(squares, 0))
        unit = max(np.median(lengths) / _RAYLEIGH_MEDIAN, 1e-12)
        inverse /= unit**2
        inside = lengths / unit < _CLIP + 0.5
    return inverse


def relative_confidence(confidences: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return ``(N, K)``: the confidence over the landmark's median, at most 1."""
    usual = np.array(
        [
            np.median(c[rows]) if rows.any() else 1
            for c, rows in zip(confidences.T, known.T)
        ]
    )
    return np.clip(confidences / np.maximum(usual, 1e-9), 0, 1)


def row_medians(values: np.ndarray) -> np.ndarray:
    """Return the median of each row ``(N,)`` without its NaN; 0 of rows of NaN."""
    some = np.isfinite(values).any(1)
    return np.nanmedian(np.where(some[:, None], values, 0), 1)
