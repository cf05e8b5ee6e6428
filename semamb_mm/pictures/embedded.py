"""Pictures inside an html page."""

from __future__ import annotations

import base64

import cv2
import numpy as np


def embedded(data: bytes, kind: str) -> str:
    """Return the address of a picture that stands in the page itself.

    Args:
        data: The file.
        kind: ``png`` or ``jpeg``.
    """
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


def embedded_image(image: np.ndarray) -> str:
    """Return the address of an image ``(H, W, 3)`` uint8, BGR, as a JPEG file."""
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 85])
    return embedded(encoded.tobytes(), "jpeg")
