"""Named groups of landmarks, and the unit in which errors are quoted."""

from __future__ import annotations

import numpy as np

# 300W's 68-point mark-up. 'weak': no exact definition along the curve they
# lie on (contour, brows, bridge of the nose); 'strong': the others.
GROUPS_68 = dict(
    contour=range(0, 17),
    brows=range(17, 27),
    nose=range(27, 36),
    eyes=range(36, 48),
    mouth=range(48, 68),
    weak=range(0, 31),
    strong=range(31, 68),
    all=range(0, 68),
)


def landmark_groups(num_keypoints: int) -> dict[str, list[int]]:
    """Group name to landmark indices; only ``all`` for unknown mark-ups."""
    if num_keypoints == 68:
        return {name: list(group) for name, group in GROUPS_68.items()}
    return dict(all=list(range(num_keypoints)))


def face_unit(keypoints: np.ndarray) -> np.ndarray:
    """The length that errors are divided by, in pixels.

    Args:
        keypoints: ``(N, K, 2)``.

    Returns:
        ``(N,)``: the distance of the outer eye corners for 68 landmarks, the
        geometric mean of the landmarks' box sides otherwise; at least 1e-6.
    """
    if keypoints.shape[1] == 68:
        unit = np.linalg.norm(keypoints[:, 36] - keypoints[:, 45], axis=-1)
    else:
        unit = np.sqrt((keypoints.max(1) - keypoints.min(1)).prod(-1))
    return np.maximum(unit, 1e-6)
