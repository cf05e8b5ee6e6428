"""In-plane rotation of faces, measured on landmarks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .landmarks import landmark_groups
from .sizes import longest_side

# Below this mean length of the vectors between symmetric landmarks, as a share of
# the face's size, their direction says nothing (a full profile).
SHORTEST = 0.05


def face_roll(
    keypoints: np.ndarray,
    flip_indices: Sequence[int],
    visible: np.ndarray | None = None,
) -> float:
    """Return how far a face is rotated in the image plane, in degrees, clockwise.

    The direction of the sum of the vectors from each landmark on the image's left
    to its mirror image on the right (ours). All these vectors are parallel to the
    head's lateral axis, so that no mean shape has to be fitted. The contour of 68
    points does not count: it may be found slid round the face as a whole. Any
    mark-up with symmetric landmarks will do, if the lower index of each pair is the
    one on the image's left in an upright face (300W, 300-VW, AFLW, COFW, WFLW).

    Args:
        keypoints: ``(K, 2)`` in pixels, y pointing down.
        flip_indices: ``(K,)`` each landmark's mirror image, MMPose's.
        visible: ``(K,)``; pairs of which one is 0 do not count. Defaults to all.

    Returns:
        In (-180, 180]: 10 if the face's top leans 10 degrees to the image's right.
        0 where the landmarks do not tell.

    Raises:
        ValueError: If the number of landmarks is not that of ``flip_indices``, or
            no landmark has a mirror image.
    """
    mirror = np.asarray(flip_indices)
    if len(mirror) != len(keypoints):
        raise ValueError(
            f"{len(keypoints)} landmarks, but flip_indices has {len(mirror)}; a roll "
            "needs all landmarks of the mark-up"
        )
    left = np.flatnonzero(mirror > np.arange(len(mirror)))
    left = np.setdiff1d(left, landmark_groups(len(mirror)).get("contour", ()))
    if not len(left):
        raise ValueError(
            "flip_indices pairs no landmarks: the roll of a face is measured between "
            "symmetric ones. Give the data set a metainfo with 'swap'"
        )
    seen = np.ones(len(mirror), bool) if visible is None else np.asarray(visible) > 0
    left = left[seen[left] & seen[mirror[left]]]
    if not len(left):
        return 0.0
    points = np.asarray(keypoints, np.float64)
    lateral = (points[mirror[left]] - points[left]).mean(0)
    if np.linalg.norm(lateral) < SHORTEST * longest_side(points, seen):
        return 0.0
    return float(np.degrees(np.arctan2(lateral[1], lateral[0])))
