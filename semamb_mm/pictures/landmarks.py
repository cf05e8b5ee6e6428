"""Pictures of predicted landmarks on faces."""

from __future__ import annotations

import cv2
import numpy as np

from semamb_mm.faces.sizes import longest_side

from .legends import legend, ramp, ring

_SHIFT = 4  # OpenCV draws in 1/16 pixel
CORRECTED = (255, 0, 255)
_READABLE = 640  # pixels that the longer side of a picture is enlarged to, at most
_DOT = 1 / 110  # of a face: a landmark's radius


def draw_landmarks(
    image: np.ndarray,
    keypoints: np.ndarray,
    scores: np.ndarray,
    corrected: np.ndarray | None = None,
    box: np.ndarray | None = None,
    zoom: int = 1,
) -> np.ndarray:
    """Draw landmarks on a copy of an image, from red (unsure) to green (sure).

    Landmarks that a refiner corrected wear a magenta ring. :func:`landmark_legend`
    says so.

    Args:
        image: ``(H, W, 3)`` uint8, BGR, of :func:`enlarged`.
        keypoints: ``(K, 2)`` pixels of the image before that.
        scores: ``(K,)`` confidence, 0 to 1.
        corrected: ``(K,)`` bool.
        box: ``(4,)`` x1, y1, x2, y2 of the face, pixels of the image before that.
        zoom: How many times larger the image is now.
    """
    image = image.copy()
    keypoints = _on_enlarged(keypoints, zoom)
    radius = round(max(1.0, float(_DOT * longest_side(keypoints))) * 2**_SHIFT)
    if box is not None:
        corners = np.rint(_on_enlarged(box, zoom)).astype(int).tolist()
        cv2.rectangle(image, corners[:2], corners[2:], (200, 200, 200), 1)
    for number, (point, score) in enumerate(zip(keypoints, scores)):
        center = np.rint(point * 2**_SHIFT).astype(int).tolist()
        colour = _colour_of(float(score))
        cv2.circle(image, center, radius, colour, -1, cv2.LINE_AA, _SHIFT)
        if corrected is not None and corrected[number]:
            cv2.circle(image, center, 2 * radius, CORRECTED, 1, cv2.LINE_AA, _SHIFT)
    return image


def enlarged(image: np.ndarray) -> tuple[np.ndarray, int]:
    """Return a small image made large enough to see dots beside each other on it.

    Args:
        image: ``(H, W, 3)`` uint8.

    Returns:
        The image, and how many times larger it is: a whole number.
    """
    zoom = max(1, _READABLE // max(image.shape[:2]))
    if zoom == 1:
        return image, 1
    scaled = cv2.resize(image, None, fx=zoom, fy=zoom, interpolation=cv2.INTER_CUBIC)
    return scaled, zoom


def landmark_legend(width: int, refined: bool = False) -> np.ndarray:
    """Return a strip ``(H, width, 3)`` that says what the colours mean.

    Args:
        width: Of the picture that it stands below.
        refined: Whether landmarks may have been corrected.
    """
    marks = [ramp("confidence, from unsure to sure", _colour_of)]
    marks += [ring("corrected", CORRECTED)] * refined
    return legend(marks, width)


def _on_enlarged(points: np.ndarray, zoom: int) -> np.ndarray:
    # Pixel centres are whole numbers, on the enlarged image too.
    return points * zoom + (zoom - 1) / 2


def _colour_of(score: float) -> tuple[int, int, int]:
    score = min(max(score, 0.0), 1.0)
    return 0, int(255 * min(1, 2 * score)), int(255 * min(1, 2 - 2 * score))
