"""From the painted canvas to a photograph."""

from __future__ import annotations

import cv2
import numpy as np


def develop(
    rng: np.random.Generator,
    canvas: np.ndarray,
    size: int,
    grain_rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Return a photograph of a canvas: blurred, exposed, noisy and compressed.

    Args:
        rng: Draws the camera.
        canvas: ``(S, S, 3)`` uint8.
        size: Side of the photograph in pixels.
        grain_rng: Draws the sensor's noise alone, which differs between frames of one
            camera. Defaults to ``rng``.

    Returns:
        ``(size, size, 3)`` uint8, BGR.
    """
    image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    blur = rng.uniform(0.0, 0.7)
    if rng.random() < 0.15:
        blur += rng.uniform(0.3, 1.3) * size / 160
    if blur > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    gain = rng.uniform(0.75, 1.2) * rng.uniform(0.94, 1.06, 3)
    bias = rng.uniform(-15, 15)
    grain_rng = rng if grain_rng is None else grain_rng
    grain = grain_rng.standard_normal((size, size, 3), dtype=np.float32)
    noisy = image * gain.astype(np.float32) + np.float32(bias)
    noisy += np.float32(rng.gamma(2.0, 1.6)) * grain
    image = np.clip(noisy, 0, 255).astype(np.uint8)
    if rng.random() < 0.08:
        image = cv2.cvtColor(
            cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR
        )
    quality = int(rng.integers(45, 96))
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR))
