"""Which landmarks are suspects, and which labels are proposed instead."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .scores import THRESHOLD, suspicion


@dataclass(frozen=True)
class Audit:
    """What is known of N samples of K landmarks, in image pixels.

    Attributes:
        keys: The samples' names.
        annotations: ``(N, K, 2)``, NaN where not annotated.
        predictions: ``(N, K, 2)`` of a model.
        confidences: ``(N, K)`` keypoint scores of the model.
        targets: ``(N, K, 2)`` latent targets; the annotations where there are none.
        scores: ``(N, K)`` of :func:`suspicion`, NaN where not annotated.
        threshold: The score from which on a landmark is a suspect.
        labels: ``(N, K, 2)`` proposed instead of the annotations.
    """

    keys: Sequence[str]
    annotations: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray
    targets: np.ndarray
    scores: np.ndarray
    threshold: float
    labels: np.ndarray

    @cached_property
    def suspects(self) -> np.ndarray:
        """``(N, K)`` bool."""
        return self.scores >= self.threshold

    @cached_property
    def order(self) -> np.ndarray:
        """Samples ``(N,)``, worst first: by suspects, then by their worst landmark."""
        worst = np.nan_to_num(self.scores, nan=-1).max(1)
        return np.lexsort((-worst, -self.suspects.sum(1)))

    @property
    def has_targets(self) -> bool:
        """Whether any latent target differs from its annotation."""
        return bool(np.nanmax(np.abs(self.targets - self.annotations)) > 0)


def decide(
    keys: Sequence[str],
    annotations: np.ndarray,
    predictions: np.ndarray,
    confidences: np.ndarray,
    targets: np.ndarray | None = None,
    inside: np.ndarray | None = None,
    threshold: float = THRESHOLD,
    adopt_targets: bool = False,
) -> Audit:
    """Score annotations, and propose the prediction for each suspect.

    Args:
        keys: The samples' names.
        annotations: ``(N, K, 2)`` image pixels, NaN where not annotated.
        predictions: ``(N, K, 2)`` image pixels.
        confidences: ``(N, K)`` keypoint scores.
        targets: ``(N, K, 2)`` latent targets, if there are any.
        inside: ``(N, K)`` bool, which predictions lie inside the image; others are
            never proposed. Defaults to all.
        threshold: The score from which on a landmark is a suspect.
        adopt_targets: Propose the latent target for every other landmark.

    Raises:
        ValueError: See :func:`suspicion`.
    """
    scores = suspicion(annotations, predictions, confidences)
    replaced = scores >= threshold
    if inside is not None:
        replaced &= inside
    if targets is None:
        targets = annotations
    kept = targets if adopt_targets else annotations
    labels = np.where(replaced[..., None], predictions, kept)
    seen = (annotations, predictions, confidences, targets)
    return Audit(keys, *seen, scores, threshold, labels)
