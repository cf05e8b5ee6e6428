"""How large a face is, and the lengths that its errors are divided by.

Plain numpy: landmarks ``(N, K, 2)`` and boxes ``(N, 4)`` in image pixels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from .landmarks import EYE_INDICES_68, NUM_LANDMARKS, OUTER_EYE_CORNERS_68

EYE_NORMS = ("inter_pupil", "inter_ocular")
BOX_NORMS = ("bbox_size", "bbox_diagonal")
_SMALLEST = 1e-6  # pixels; keeps divisions by a size finite
_THINNEST = 0.05  # least side of a box of landmarks, in its longest
_ROWS = 65_536  # samples at a time
_FEWEST = 4  # landmarks whose box tells how large their sample is
_EYES_IN_SIZE = 0.64  # inter-ocular distance in a procedural face's size, the median


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


def sample_sizes(
    keypoints: np.ndarray,
    visible: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
) -> np.ndarray:
    """Return sizes of a data set's samples, also of those that show few landmarks.

    Two ankles at one height are no person's size. So where the samples have boxes, the
    size is the box's, times the usual ratio of :func:`face_size` to it. Else it is
    :func:`face_size`, each side of its box counting as 5 % of the longer one at least;
    samples that show fewer than four landmarks (all, if there are fewer) have the
    median of the others' sizes.

    Args:
        keypoints: ``(N, K, 2)``; hidden landmarks may be NaN.
        visible: ``(N, K)``; landmarks where it is 0 do not count. Defaults to those
            that are finite.
        boxes: ``(N, 4)`` x1, y1, x2, y2 in the same unit; those without an area count
            as none.

    Returns:
        ``(N,)`` in the landmarks' unit, at least 1e-6.
    """
    keypoints = np.asarray(keypoints)
    shown = np.broadcast_to(
        visible is None or np.asarray(visible) > 0, keypoints.shape[:2]
    )
    sides, enough = np.zeros((len(keypoints), 2)), np.zeros(len(keypoints), bool)
    for start in range(0, len(keypoints), _ROWS):
        part = slice(start, start + _ROWS)
        seen = shown[part] & np.isfinite(keypoints[part]).all(-1)
        enough[part] = seen.sum(-1) >= min(_FEWEST, keypoints.shape[1])
        low, high = _corners(keypoints[part], seen)
        sides[part] = np.where(enough[part, None], high - low, 0)
    sides = np.maximum(sides, _THINNEST * sides.max(-1, keepdims=True))
    sizes = np.sqrt(np.maximum(sides, _SMALLEST).prod(-1))
    unit = np.zeros(len(sizes)) if boxes is None else box_size(np.asarray(boxes))
    boxed = enough & (unit > 0)
    ratio = np.median(sizes[boxed] / unit[boxed]) if boxed.any() else 1.0
    usual = np.median(sizes[enough]) if enough.any() else _SMALLEST
    sizes = np.where(enough, sizes, usual)
    return np.maximum(np.where(unit > 0, ratio * unit, sizes), _SMALLEST)


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


def face_unit(keypoints: np.ndarray, visible: np.ndarray | None = None) -> np.ndarray:
    """Return the length that errors are divided by where no norm is named.

    :func:`percent_unit` is its name.

    Args:
        keypoints: ``(N, K, 2)``; hidden landmarks may be NaN.
        visible: ``(N, K)``; landmarks where it is 0 do not count, unless no sample
            shows enough others. Defaults to those that are finite.

    Returns:
        ``(N,)``, at least 1e-6: the distance of the outer eye corners for 68
        landmarks, :func:`sample_sizes` otherwise. A face that hides one of the corners
        has its size times the others' usual ratio of the two.
    """
    keypoints = np.asarray(keypoints)
    finite = np.isfinite(keypoints).all(-1)
    seen = finite if visible is None else finite & (np.asarray(visible) > 0)
    if not (seen.sum(-1) >= min(_FEWEST, keypoints.shape[1])).any():
        seen = finite
    if keypoints.shape[1] != NUM_LANDMARKS:
        return sample_sizes(keypoints, seen)
    one, other = (keypoints[:, corner] for corner in OUTER_EYE_CORNERS_68)
    known = seen[:, list(OUTER_EYE_CORNERS_68)].all(-1)
    unit = np.maximum(np.linalg.norm(one - other, axis=-1), _SMALLEST)
    if known.all():
        return unit
    sizes = sample_sizes(keypoints, seen)
    ratio = np.median(unit[known] / sizes[known]) if known.any() else _EYES_IN_SIZE
    return np.where(known, unit, np.maximum(ratio * sizes, _SMALLEST))


def percent_unit(num_keypoints: int) -> str:
    """Return what figures in percent of :func:`face_unit` are called."""
    if num_keypoints == NUM_LANDMARKS:
        return "% of the inter-ocular distance"
    return "% of the size of the landmarks' box"


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
