"""What is behind a procedural face: coloured clouds and a few objects."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import SUPERSAMPLING, Canvas, ellipse, smooth_noise
from .scene import Scene


def paint_background(scene: Scene, rng: np.random.Generator) -> None:
    """Cover the whole canvas."""
    _paint_clouds(scene.canvas, rng)
    for _ in range(rng.integers(1, 6)):
        _paint_object(scene.canvas, rng)


def _paint_clouds(canvas: Canvas, rng: np.random.Generator) -> None:
    half = canvas.side // 2
    # from grey to gaudy
    grey = rng.uniform(30, 220)
    base = (grey + rng.uniform(0, 60) * rng.uniform(-1, 1, 3)).astype(np.float32)
    clouds = smooth_noise(rng, half, 5, 3)
    clouds += rng.uniform(0, 3) * clouds[..., :1]
    field = base + np.float32(rng.uniform(5, 20)) * clouds
    cells = int(rng.integers(12, 50))
    field += np.float32(rng.uniform(2, 20)) * smooth_noise(rng, half, cells, 1)
    field = np.clip(field, 0, 255, out=field).astype(np.uint8)
    canvas.pixels[:] = cv2.resize(field, (canvas.side, canvas.side))


def _paint_object(canvas: Canvas, rng: np.random.Generator) -> None:
    size = canvas.side / SUPERSAMPLING
    colour = rng.uniform(10, 245, 3)
    centre = rng.uniform(0, size, 2)
    kind = rng.integers(3)
    if kind == 0:
        radii = tuple(rng.uniform(0.05, 0.3, 2) * size)
        canvas.fill(ellipse(centre, radii, rng.uniform(0, 3)), colour)
    elif kind == 1:
        corners = centre + rng.uniform(-0.35, 0.35, (4, 2)) * size
        canvas.fill(corners, colour)
    else:
        end = rng.uniform(0, size, 2)
        canvas.line(np.stack([centre, end]), colour, rng.uniform(0.5, 5))
