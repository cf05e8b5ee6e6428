"""How large a face is, and the lengths that its errors are divided by.

Plain numpy: landmarks ``(N, K, 2)`` and boxes ``(N, 4)`` in image pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .landmarks import EYE_INDICES_68, NUM_LANDMARKS, OUTER_EYE_CORNERS_68

EYE_NORMS = ("inter_pupil", "inter_ocular")
BOX_NORMS = ("bbox_size", "bbox_diagonal")
# What figures in percent of face_unit are called.
PERCENT_UNIT = "% of the inter-ocular distance"

_SMALLEST = 1e-6  # pixels; keeps divisions by a size finite


def face_size(keypoints: np.ndarray, visible: np.ndarray | None = None) -> np.ndarray:
    """Return the geometric mean of the sides of each face's box of landmarks.

    Args:
        keypoints: ``(..., K, 2)``; hidden landmarks may be NaN.
        visible: ``(..., K)``; landmarks where it is 0 do not count. Defaults to all.

    Returns:
        ``(...)`` in the landmarks' unit. Each side counts as at least 1e-6, also
        where nothing is visible.
    """
    low, high = _corners(keypoints, visible)
    return np.sqrt(np.maximum(high - low, _SMALLEST).prod(-1))


def longest_side(
    keypoints: np.ndarray, visible: np.ndarray | None = None
) -> np.ndarray:
    """Return the longer side of each face's box of landmarks.

    Args:
        keypoints: ``(..., K, 2)``; hidden landmarks may be NaN.
        visible: ``(..., K)``; landmarks where it is 0 do not count. Defaults to all.

    Returns:
        ``(...)`` in the landmarks' unit; minus infinity where nothing is visible.
    """
    low, high = _corners(keypoints, visible)
    return (high - low).max(-1)


def _corners(
    keypoints: np.ndarray, visible: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    """Return the least and the greatest coordinates ``(..., 2)`` of what is visible."""
    keypoints = np.asarray(keypoints)
    if visible is None:
        return keypoints.min(-2), keypoints.max(-2)
    seen = (np.asarray(visible) > 0)[..., None]
    low = np.where(seen, keypoints, np.inf).min(-2)
    high = np.where(seen, keypoints, -np.inf).max(-2)
    return low, high


def box_size(boxes: np.ndarray) -> np.ndarray:
    """Return the square root of the area of boxes ``(..., 4)``, x1, y1, x2, y2.

    Returns:
        ``(...)`` in pixels; 0 for boxes whose corners are in the wrong order.
    """
    return np.sqrt(_sides(boxes).prod(-1))


def _sides(boxes: np.ndarray) -> np.ndarray:
    return np.maximum(boxes[..., 2:] - boxes[..., :2], 0)


def face_unit(keypoints: np.ndarray) -> np.ndarray:
    """Return the length that errors are divided by where no norm is named.

    Args:
        keypoints: ``(N, K, 2)``.

    Returns:
        ``(N,)``: the distance of the outer eye corners for 68 landmarks,
        :func:`face_size` otherwise; at least 1e-6.
    """
    if keypoints.shape[1] != NUM_LANDMARKS:
        return face_size(keypoints)
    one, other = (keypoints[:, corner] for corner in OUTER_EYE_CORNERS_68)
    return np.maximum(np.linalg.norm(one - other, axis=-1), _SMALLEST)


def face_norms(
    keypoints: np.ndarray,
    norm: str,
    boxes: np.ndarray | None = None,
    eye_indices: Mapping[str, Sequence[Sequence[int]]] = EYE_INDICES_68,
) -> np.ndarray:
    """Return the length that the errors of each face are divided by.

    Args:
        keypoints: ``(N, K, 2)`` true landmarks in pixels, NaN where not visible.
        norm: ``'inter_pupil'``, between the means of the two eyes' landmarks;
            ``'inter_ocular'``, between the outer eye corners; ``'bbox_size'``,
            the square root of width x height; or ``'bbox_diagonal'``.
        boxes: ``(N, 4)`` x1, y1, x2, y2 in pixels for the box norms. Defaults to
            the tight box around the visible landmarks.
        eye_indices: Eye norm to the landmark indices of one eye and of the other.

    Returns:
        ``(N,)`` in pixels. NaN where a landmark that an eye norm needs is not
        visible: a mean over some of an eye's landmarks lies elsewhere.

    Raises:
        ValueError: For an unknown norm.
    """
    if norm in EYE_NORMS:
        one, other = (
            keypoints[:, list(indices)].mean(axis=1) for indices in eye_indices[norm]
        )
        return np.linalg.norm(one - other, axis=-1)
    if norm not in BOX_NORMS:
        raise ValueError(f"norm is {norm!r}; expected one of {EYE_NORMS + BOX_NORMS}")
    if boxes is None:
        corners = np.fmin.reduce(keypoints, 1), np.fmax.reduce(keypoints, 1)
        boxes = np.concatenate(corners, axis=-1)
    if norm == "bbox_size":
        return box_size(boxes)
    return np.linalg.norm(_sides(boxes), axis=-1)
