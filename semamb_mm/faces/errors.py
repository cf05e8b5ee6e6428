"""Errors and jitter of face landmarks, and what is told of them over many faces.

Plain numpy: ``(N, K, 2)`` landmarks of N faces in image pixels, NaN where a landmark
is not visible.
"""

from __future__ import annotations

import numpy as np


def landmark_errors(predicted: np.ndarray, keypoints: np.ndarray) -> np.ndarray:
    """Return the distances of predicted from true landmarks, both ``(..., K, 2)``.

    Returns:
        ``(..., K)`` in the landmarks' unit; NaN where a landmark is.
    """
    return np.linalg.norm(predicted - keypoints, axis=-1)


def mean_visible(errors: np.ndarray, axis: int) -> np.ndarray:
    """Return the mean over an axis without the NaN of landmarks that are not visible.

    Returns:
        The shape of ``errors`` less the axis; NaN where nothing is visible.
    """
    visible = ~np.isnan(errors)
    count = visible.sum(axis=axis)
    total = np.where(visible, errors, 0).sum(axis=axis)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def failure_rate(errors: np.ndarray, threshold: float) -> float:
    """Return the share of faces with an error above the threshold.

    Args:
        errors: ``(N,)`` mean error of each face, a fraction of its norm.
        threshold: In the same unit.
    """
    return float(np.mean(_face_errors(errors) > threshold))


def ced_auc(errors: np.ndarray, threshold: float) -> float:
    """Return the area under the cumulative error distribution up to a threshold.

    The curve, the share of faces with an error of at most e, is a step function;
    its integral over 0 <= e <= threshold, divided by the threshold, is exactly
    ``1 - mean(min(error, threshold)) / threshold``: 1 if all errors are 0, 0 if
    none is below the threshold. (Curves sampled on a grid give values that differ
    by about the grid's step.)

    Args:
        errors: ``(N,)`` mean error of each face, a fraction of its norm.
        threshold: The last error that counts, in the same unit.
    """
    capped = np.minimum(_face_errors(errors) / threshold, 1)
    return float(np.clip(1 - capped.mean(), 0, 1))


def _face_errors(errors: np.ndarray) -> np.ndarray:
    errors = np.asarray(errors, np.float64)
    if errors.ndim != 1 or not len(errors) or not np.isfinite(errors).all():
        raise ValueError(
            "expected finite errors (N,) of at least one face, got "
            f"{np.isfinite(errors).sum()} finite ones in shape {errors.shape}"
        )
    return errors


def frame_step(sequences: np.ndarray, frames: np.ndarray) -> int:
    """Return the smallest distance between two frame numbers of a sequence.

    Args:
        sequences: ``(N,)`` the sequence of each face.
        frames: ``(N,)`` its frame number; ascending within a sequence.

    Returns:
        1 where no sequence has two frames.
    """
    steps = np.diff(frames)[sequences[1:] == sequences[:-1]]
    return int(steps.min()) if len(steps) else 1


def middle_frames(sequences: np.ndarray, frames: np.ndarray, step: int) -> np.ndarray:
    """Return whether a sequence has the frames ``step`` before and after a face's own.

    Args:
        sequences: ``(N,)`` the sequence of each face; equal ones lie together.
        frames: ``(N,)`` its frame number; ascending within a sequence.
        step: Distance of consecutive frames.

    Returns:
        ``(N,)`` bool.
    """
    follows = (sequences[1:] == sequences[:-1]) & (np.diff(frames) == step)
    return np.append(follows, False)[: len(frames)] & np.insert(follows, 0, False)


def jitter(points: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Return the mean length of the landmarks' second differences in time.

    ``|| x[t+1] - 2 x[t] + x[t-1] ||``, the mean over the landmarks that are visible in
    all three frames. 0 for steady motion; 3.07 s on average for noise that is
    independent in x, y and time, with a standard deviation of s.

    Args:
        points: ``(N, K, 2)`` in pixels, frames of a sequence in order.
        middle: ``(N,)`` from :func:`middle_frames`.

    Returns:
        ``(N,)`` in pixels; NaN where a frame is not a middle one.
    """
    lengths = np.full(points.shape[:2], np.nan)
    (at,) = np.nonzero(middle)
    second = points[at + 1] - 2 * points[at] + points[at - 1]
    lengths[at] = np.linalg.norm(second, axis=-1)
    return mean_visible(lengths, axis=1)
