"""What a person is asked about the suspects of an audit.

Plain arrays of N samples and K landmarks, of any mark-up. ``review_page`` makes a page
of it; ``decisions`` reads what comes back.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semamb_mm.faces.landmarks import NUM_LANDMARKS, PARTS_68
from semamb_mm.faces.sizes import sample_sizes

from .tracks import Track


@dataclass(frozen=True)
class Review:
    """Suspects to be reviewed, in image pixels.

    Attributes:
        keys: ``(N,)`` names of the samples, each once.
        paths: ``(N,)`` of their images, to be shown.
        annotations: ``(N, K, 2)``, NaN where not annotated.
        proposals: ``(N, K, 2)`` instead of them, NaN where there is none.
        scores: ``(N, K)``, higher is worse.
        suspects: ``(N, K)`` bool, which landmarks are asked about.
        reasons: ``(N, K)`` str, why; empty where nothing is said.
        precisions: ``(N, K)``, the share of wrong annotations to expect among the
            suspects that score at least as high; NaN where it is not known.
        predictions: ``(N, K, 2)`` of a model, shown beside the proposals.
        names: ``(K,)`` of the landmarks; empty ones are numbered only.
        links: Pairs of landmarks that are joined by a line.
        tracks: Suspects that are decided together, frames of one video, each in one
            track at most.

    Raises:
        ValueError: If the shapes disagree, two samples share a key, nothing is
            annotated, or a suspect is not.
    """

    keys: Sequence[str]
    paths: Sequence[str]
    annotations: np.ndarray
    proposals: np.ndarray
    scores: np.ndarray
    suspects: np.ndarray
    reasons: np.ndarray | None = None
    precisions: np.ndarray | None = None
    predictions: np.ndarray | None = None
    names: Sequence[str] = ()
    links: Sequence[tuple[int, int]] = ()
    tracks: Sequence[Track] = ()

    def __post_init__(self) -> None:
        points = np.shape(self.annotations)
        if len(points) != 3 or points[2] != 2 or 0 in points:
            raise ValueError(f"annotations have shape {points}; expected (N, K, 2)")
        for name, shape in _SHAPES.items():
            value = getattr(self, name)
            expected = tuple(dict(N=points[0], K=points[1]).get(n, n) for n in shape)
            if value is not None and np.shape(value) != expected:
                raise ValueError(
                    f"{name} have shape {np.shape(value)}; expected {expected} as of "
                    f"annotations {points}"
                )
        if len(set(self.keys)) < len(self.keys):
            raise ValueError("keys name two samples alike; expected each once")
        if self.names and len(self.names) != points[1]:
            raise ValueError(f"{len(self.names)} names of {points[1]} landmarks")
        if not np.isfinite(self.annotations).all(-1).any():
            raise ValueError("no landmark is annotated")
        if not np.isfinite(self.annotations[self.suspects]).all():
            raise ValueError("suspects hold landmarks that are not annotated")

    def worst(self, limit: int | None = None) -> np.ndarray:
        """Return sample and landmark of the suspects ``(S, 2)``, worst first.

        Args:
            limit: Of ``S``.
        """
        chosen = np.argwhere(self.suspects)
        scores = self.scores[tuple(chosen.T)]
        return chosen[np.argsort(-scores, kind="stable")][:limit]


_SHAPES: dict[str, tuple] = dict(
    keys=("N",),
    paths=("N",),
    proposals=("N", "K", 2),
    scores=("N", "K"),
    suspects=("N", "K"),
    reasons=("N", "K"),
    precisions=("N", "K"),
    predictions=("N", "K", 2),
)


def fingerprint(review: Review, suspects: np.ndarray) -> str:
    """Return what tells an audit from others: hexadecimal, the same in each run.

    It changes with the samples and landmarks that are asked about, their annotations
    and the proposals; lengths count to 0.01 px.

    Args:
        review: The audit.
        suspects: ``(S, 2)`` of :meth:`Review.worst`.
    """
    rows = [
        [
            str(review.keys[i]),
            int(k),
            *(
                None if np.isnan(value) else f"{value:.2f}"
                for points in (review.annotations, review.proposals)
                for value in points[i, k]
            ),
        ]
        for i, k in suspects
    ]
    text = json.dumps([review.annotations.shape[1], rows])
    return hashlib.sha256(text.encode()).hexdigest()


def mark_up(
    num_keypoints: int, dataset_meta: Mapping | None = None
) -> tuple[list[str], list[tuple[int, int]]]:
    """Return names of landmarks, and the pairs that a line joins.

    Args:
        num_keypoints: K.
        dataset_meta: MMPose's, if it is of K landmarks. 68 points that it only numbers
            are called after the parts of the face, others have no name.

    Example:
        >>> names, links = mark_up(68)
        >>> names[36], links[0]
        ('left eye 1', (0, 1))
    """
    meta = dataset_meta or {}
    if meta.get("num_keypoints") != num_keypoints:
        meta = {}
    given = meta.get("keypoint_id2name", {})
    names = [str(given.get(k, "")).replace("_", " ") for k in range(num_keypoints)]
    names = ["" if _is_number(name) else name for name in names]
    links = [(int(a), int(b)) for a, b in meta.get("skeleton_links") or ()]
    if num_keypoints == NUM_LANDMARKS:
        names = names if any(names) else _face_names()
        links = links or _face_links()
    return names, links


def _is_number(name: str) -> bool:
    """Return whether a name says no more than a landmark's number."""
    return re.fullmatch(r"(kpt|keypoint|point)?[- ]?\d+", name) is not None


def _face_names() -> list[str]:
    return [
        f"{part.replace('_', ' ')} {number}"
        for part, (landmarks, _) in PARTS_68.items()
        for number in range(1, len(landmarks) + 1)
    ]


def _face_links() -> list[tuple[int, int]]:
    links = []
    for landmarks, closed in PARTS_68.values():
        links += list(zip(landmarks, landmarks[1:]))
        links += [(landmarks[-1], landmarks[0])] * closed
    return links


def typical_shape(annotations: np.ndarray) -> np.ndarray:
    """Return a shape to number the landmarks on, its longer side 1, its middle at 0.

    Of faces that is the mean of those without a hidden landmark. What moves its limbs
    has no mean worth a look: there it is the sample that is nearest to the mean of
    those that show most landmarks.

    Args:
        annotations: ``(N, K, 2)``, NaN where not annotated.

    Returns:
        ``(K, 2)``, NaN where that sample does not say.
    """
    known = np.isfinite(annotations).all(-1).sum(1)
    shapes = annotations[known == known.max()]
    middle = (np.nanmin(shapes, 1) + np.nanmax(shapes, 1)) / 2
    shapes = (shapes - middle[:, None]) / sample_sizes(shapes)[:, None, None]
    # The median is a mean that a few wrong labels leave alone.
    shape = np.median(np.nan_to_num(shapes), 0)
    if known.max() < NUM_LANDMARKS or len(shape) != NUM_LANDMARKS:
        distances = ((np.nan_to_num(shapes) - shape) ** 2).sum((1, 2))
        shape = shapes[distances.argmin()]
    low, high = np.nanmin(shape, 0), np.nanmax(shape, 0)
    return (shape - (low + high) / 2) / max(float((high - low).max()), 1e-9)
