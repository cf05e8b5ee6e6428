"""What hides a part of a procedural face: an object, a hand or a lock of hair."""

from __future__ import annotations

import cv2
import numpy as np

from semamb_mm.faces.landmarks import GROUPS_68

from .canvas import ellipse, smooth_noise
from .scene import Scene

# Outlines (P, 2) in image pixels, and a colour (3,) for each.
_Patches = list[tuple[np.ndarray, np.ndarray]]


def paint_occluder(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Hide a part of the face.

    Returns:
        ``(68,)`` bool, the landmarks that are hidden.
    """
    canvas = scene.canvas
    draw = (_draw_object, _draw_hand, _draw_lock)[rng.integers(3)]
    patches = draw(scene, rng)
    hidden = np.zeros((canvas.side, canvas.side), np.uint8)
    contrast = rng.uniform(3, 18)
    cells = int(rng.integers(10, 60))
    texture = contrast * smooth_noise(rng, canvas.side // 2, cells, 1)
    for outline, colour in patches:
        canvas.fill(outline, np.clip(colour, 0, 255))
        cv2.bitwise_or(hidden, canvas.mask(outline), dst=hidden)
    fine = cv2.resize(texture, (canvas.side,) * 2)
    covered = hidden > 127
    textured = canvas.pixels[covered] + fine[covered][:, None]
    canvas.pixels[covered] = np.clip(textured, 0, 255).astype(np.uint8)
    at = np.round(canvas.coordinates(scene.keypoints)).astype(int)
    x, y = np.clip(at, 0, canvas.side - 1).T
    return covered[y, x]


def _draw_object(scene: Scene, rng: np.random.Generator) -> _Patches:
    centre = rng.uniform(scene.keypoints.min(0), scene.keypoints.max(0))
    radii = rng.uniform(0.25, 0.85, 2) * scene.unit
    angle = rng.uniform(0, np.pi)
    if rng.random() < 0.5:
        outline = ellipse(centre, tuple(radii), angle)
    else:
        outline = ellipse(centre, tuple(radii * 1.2), angle, 4)
    return [(outline, rng.uniform(10, 245, 3))]


def _draw_hand(scene: Scene, rng: np.random.Generator) -> _Patches:
    """Draw a hand that reaches in from below or from a side."""
    unit = scene.unit
    aim = scene.keypoints[rng.integers(len(GROUPS_68["contour"]))]
    angle = rng.uniform(-0.9, 0.9) + np.pi / 2
    back = np.array([np.cos(angle), np.sin(angle)]) * unit
    across = np.array([-back[1], back[0]])
    tone = scene.skin * rng.uniform(0.75, 1.05)
    patches = [(ellipse(aim + back * 1.3, (1.4 * unit, 0.55 * unit), angle), tone)]
    for finger in range(4):
        at = aim + across * (finger - 1.5) * 0.27
        at = at + back * rng.uniform(0.0, 0.2)
        outline = ellipse(at, (0.5 * unit, 0.14 * unit), angle)
        patches.append((outline, tone * rng.uniform(0.85, 1.05)))
    return patches


def _draw_lock(scene: Scene, rng: np.random.Generator) -> _Patches:
    """Draw a lock of hair over one side."""
    side = rng.choice([-1.0, 1.0])
    inner = rng.uniform(0.75, 1.2)
    lock = np.array(
        [
            [0.3, -1.7, 0.0],
            [inner, -0.9, 0.1],
            [inner + 0.1, 0.4, 0.1],
            [inner + 0.25, rng.uniform(1.2, 2.6), 0.0],
            [2.0, 2.0, -0.4],
            [2.0, -0.8, -0.4],
        ]
    ) * (side, 1, 1)
    return [(scene.camera.project(lock), scene.hair)]
