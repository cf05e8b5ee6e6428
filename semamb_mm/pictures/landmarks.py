"""Pictures of predicted landmarks on faces."""

from __future__ import annotations

import cv2
import numpy as np

from semamb_mm.faces.sizes import longest_side

_SHIFT = 4  # OpenCV draws in 1/16 pixel
CORRECTED = (255, 0, 255)


def draw_landmarks(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    corrected: np.ndarray | None = None,
    box: np.ndarray | None = None,
) -> np.ndarray:
    """Draw landmarks on a copy of an image, from red (unsure) to green (sure).

    Landmarks that a refiner corrected wear a magenta ring.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        keypoints: ``(K, 2)`` image pixels.
        scores: ``(K,)`` confidence, 0 to 1.
        corrected: ``(K,)`` bool.
        box: ``(4,)`` x1, y1, x2, y2 of the face.
    """
    image = image.copy()
    span = longest_side(keypoints)
    radius = int(max(1.0, float(span / 120)) * (1 << _SHIFT))
    if box is not None:
        corners = np.rint(box).astype(int).tolist()
        cv2.rectangle(image, corners[:2], corners[2:], (200, 200, 200), 1)
    for number, (point, score) in enumerate(zip(keypoints, np.clip(scores, 0, 1))):
        center = np.rint(point * (1 << _SHIFT)).astype(int).tolist()
        colour = (0, int(255 * min(1, 2 * score)), int(255 * min(1, 2 - 2 * score)))
        cv2.circle(image, center, radius, colour, -1, cv2.LINE_AA, _SHIFT)
        if corrected is not None and corrected[number]:
            cv2.circle(image, center, 2 * radius, CORRECTED, 1, cv2.LINE_AA, _SHIFT)
    return image
