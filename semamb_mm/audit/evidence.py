"""What speaks for and against each annotation, as numbers.

Two views of a landmark: a detector's prediction of it, and what the sample's other
landmarks let expect (a robust linear model of the data set's own shapes). A wrong
annotation is far from both. A detector that failed is what is odd in its own shape,
while the annotation is not.

So annotation and prediction can trade places. The *mirrored* evidence is what would be
seen if the prediction were the annotation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from semamb_mm.faces.shape_models import fit_similarity
from semamb_mm.faces.sizes import sample_sizes

from .scores import Unexplained, Usual, relative_confidence, row_medians

_NEAREST = 4  # landmarks of the mean shape that count as neighbours
_FAINTEST = 1e-3  # relative confidence
_STEADIEST = 0.3  # spread over views, in what is usual for the landmark


class Shapes:
    """How odd a landmark is beside the others of its sample.

    Args:
        points: ``(N, K, 2)``, NaN where not known.
        sizes: ``(N,)`` of the samples.
    """

    def __init__(self, points: np.ndarray, sizes: np.ndarray) -> None:
        known = np.isfinite(points).all(-1)
        centers = np.stack([row_medians(points[..., axis]) for axis in (0, 1)], -1)
        mean = _median((points - centers[:, None]) / sizes[:, None, None])
        for _ in range(4):
            fitted = fit_similarity(np.nan_to_num(points), mean, known + 1e-9)
            mean = _median(np.where(known[..., None], fitted, np.nan))
            mean = mean / np.sqrt(((mean - mean.mean(0)) ** 2).sum(-1).mean())
        self.mean = mean - mean.mean(0)
        offsets = self.offsets(points)
        self._unexplained = Unexplained(offsets)
        self._usual = Usual(self._unexplained(offsets))

    def offsets(self, points: np.ndarray) -> np.ndarray:
        """Return ``(N, K, 2)`` less the mean shape, turned, scaled and shifted onto it.

        Landmarks that do not fit count less in the alignment.
        """
        known = np.isfinite(points).all(-1)
        filled, weights = np.nan_to_num(points), known + 1e-9
        for _ in range(3):
            offsets = fit_similarity(filled, self.mean, weights) - self.mean
            lengths = np.linalg.norm(offsets, axis=-1)
            scale = 2 * row_medians(np.where(known, lengths, np.nan)) + 1e-9
            weights = known / (1 + (lengths / scale[:, None]) ** 2) + 1e-9
        return np.where(known[..., None], offsets, np.nan)

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """Return ``(N, K)``: 1.18 is usual."""
        return self._usual(self._unexplained(self.offsets(points)))


@dataclass(frozen=True)
class Measured:
    """Of annotations, ``(N, K)`` each; NaN where not annotated.

    Attributes:
        unexplained: Distance from the prediction beyond what the sample's other
            differences let expect; 1.18 is usual, as below.
        distance: Distance from the prediction.
        shape: How odd the annotation is beside the sample's other annotations.
        mirror: How odd the prediction is beside the sample's other predictions.
    """

    unexplained: np.ndarray
    distance: np.ndarray
    shape: np.ndarray
    mirror: np.ndarray


class Evidence:
    """Measures annotations of a data set.

    Args:
        annotations: ``(N, K, 2)`` image pixels, NaN where not annotated; what is usual
            is taken from them.
        predictions: ``(N, K, 2)`` image pixels.
        confidences: ``(N, K)`` keypoint scores.
        spread: ``(N, K)`` image pixels, of predictions over views; None if not known.

    Attributes:
        sizes: ``(N,)`` of the samples, image pixels.
        known: ``(N, K)`` bool, what is annotated.
        confidence: ``(N, K)``, relative to the landmark's median, at most 1.
        unsteady: ``(N, K)``, spread over its landmark's median.
        mirror: ``(N, K)``, how odd predictions are beside the sample's others.
        nearest: ``(K, 4)``, the nearest landmarks in the mean shape; fewer if there are
            fewer landmarks.
    """

    def __init__(
        self,
        annotations: np.ndarray,
        predictions: np.ndarray,
        confidences: np.ndarray,
        spread: np.ndarray | None = None,
    ) -> None:
        self.known = np.isfinite(annotations).all(-1)
        self.sizes = sample_sizes(annotations, self.known)
        self._predictions = predictions
        difference = self.differences(annotations)
        self._unexplained = Unexplained(difference)
        self._unexplained_usual = Usual(self._unexplained(difference))
        self._bias = _median(difference)
        self._usual = Usual(difference - self._bias)
        self.shapes = Shapes(annotations, self.sizes)
        hidden = np.where(self.known[..., None], predictions, np.nan)
        self.mirror = self.shapes(hidden)
        self.confidence = relative_confidence(confidences, self.known)
        self.unsteady = np.ones(self.known.shape)
        if spread is not None and np.any(spread > 0):
            relative = np.where(self.known, spread / self.sizes[:, None], np.nan)
            usual = np.nan_to_num(_median(relative), nan=1)
            self.unsteady = spread / self.sizes[:, None] / np.maximum(usual, 1e-9)
        gaps = np.linalg.norm(self.shapes.mean[:, None] - self.shapes.mean, axis=-1)
        self.nearest = np.argsort(gaps, 1)[:, 1 : 1 + _NEAREST]

    def differences(
        self, annotations: np.ndarray, landmarks: np.ndarray | None = None
    ) -> np.ndarray:
        """Return annotations less predictions ``(N, K, 2)``, in sizes of the samples.

        Args:
            annotations: ``(N, K, 2)`` image pixels.
            landmarks: ``(K,)``, whose predictions; each one's own by default.
        """
        predictions = self._predictions
        if landmarks is not None:
            predictions = predictions[:, landmarks]
        return (annotations - predictions) / self.sizes[:, None, None]

    def distances(
        self, annotations: np.ndarray, landmarks: np.ndarray | None = None
    ) -> np.ndarray:
        """Return distances from predictions ``(N, K)``; 1.18 is usual.

        Args: See :meth:`differences`.
        """
        return self._usual(self.differences(annotations, landmarks) - self._bias)

    def moves(self, annotations: np.ndarray) -> np.ndarray:
        """Return annotations less predictions and what is usual, ``(N, K, 2)``."""
        return self.differences(annotations) - self._bias

    def __call__(self, annotations: np.ndarray) -> Measured:
        """Measure annotations ``(N, K, 2)`` of the same samples."""
        unexplained = self._unexplained(self.differences(annotations))
        return Measured(
            self._unexplained_usual(unexplained),
            self.distances(annotations),
            self.shapes(annotations),
            self.mirror,
        )

    def features(self, measured: Measured, mirrored: bool = False) -> np.ndarray:
        """Return ``(N, K, F)`` of what is measured.

        Args:
            measured: Of annotations.
            mirrored: As if the predictions were the annotations.
        """
        unexplained = np.log1p(measured.unexplained)
        distance = np.log1p(measured.distance)
        shape, mirror = np.log1p(measured.shape), np.log1p(measured.mirror)
        if mirrored:
            shape, mirror = mirror, shape
        near = distance[:, self.nearest] if self.nearest.size else distance[..., None]
        around = np.nanmedian(np.where(np.isnan(near), 0, near), -1)
        whole = row_medians(distance)[:, None] + np.zeros_like(distance)
        parts = [unexplained, distance, shape, mirror]
        parts += [np.minimum(unexplained, shape), np.minimum(distance, shape)]
        parts += [around, whole, np.log(np.maximum(self.confidence, _FAINTEST))]
        parts += [np.log(np.maximum(self.unsteady, _STEADIEST))]
        return np.stack(parts, -1)


def _median(points: np.ndarray) -> np.ndarray:
    """Return the median over samples, 0 for landmarks that none of them shows."""
    some = np.isfinite(points).any(0)
    return np.where(some, np.nanmedian(np.where(some, points, 0), 0), 0)
