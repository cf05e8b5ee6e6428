"""Small text drawn on pictures by OpenCV."""

from __future__ import annotations

import cv2
import numpy as np

_FONT, _SCALE, _THICKNESS = cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1


def text_width(text: str) -> int:
    """Return how many pixels wide a text is drawn."""
    return cv2.getTextSize(text, _FONT, _SCALE, _THICKNESS)[0][0]


def draw_text(
    image: np.ndarray, text: str, corner: tuple[int, int], colour: tuple[int, int, int]
) -> None:
    """Draw a text whose lower left corner is given, in place."""
    cv2.putText(image, text, corner, _FONT, _SCALE, colour, _THICKNESS, cv2.LINE_AA)
