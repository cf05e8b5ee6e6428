"""The head of a procedural face: hair, neck, clothes, ears and the face's outline."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import SUPERSAMPLING, ellipse
from .scene import Scene


def paint_head(scene: Scene, rng: np.random.Generator) -> None:
    """Paint what is behind the face, and the face without its features."""
    cranium = scene.camera.project(np.array([[0.0, -0.45, -0.8]]))[0]
    _paint_back_hair(scene, rng, cranium)
    _paint_neck_and_clothes(scene, rng, cranium)
    _paint_ears(scene, rng)
    _paint_sides(scene, rng)
    _paint_face(scene, rng)


def _skin(scene: Scene, darkness: float) -> np.ndarray:
    return cv2.convertScaleAbs(scene.skin_layer, alpha=darkness)


def _paint_back_hair(
    scene: Scene, rng: np.random.Generator, cranium: np.ndarray
) -> None:
    canvas, width = scene.canvas, scene.shape.identity.width
    radius = (width + rng.uniform(0.15, 0.45)) * scene.unit
    scene.bald = scene.male and rng.random() < 0.15
    hair = scene.hair * rng.uniform(0.5, 0.8)
    if not scene.bald:
        canvas.fill(ellipse(cranium, (radius, radius * 1.08)), hair)
    if not scene.male and rng.random() < 0.7:
        length = rng.uniform(1.5, 3.5)
        half = width + rng.uniform(0.1, 0.5)
        curtain = np.array(
            [
                [-half, -0.6, -0.9],
                [half, -0.6, -0.9],
                [half + 0.2, length, -0.9],
                [-half - 0.2, length, -0.9],
            ]
        )
        canvas.fill(scene.camera.project(curtain), hair)


def _paint_neck_and_clothes(
    scene: Scene, rng: np.random.Generator, cranium: np.ndarray
) -> None:
    # Neck and clothes hang from the head, along the image's vertical.
    canvas, unit = scene.canvas, scene.unit
    down = scene.camera.rotation[:2, 1]
    chin = scene.keypoints[8]
    half = (0.85 if not scene.male else 1.0) * unit * rng.uniform(0.9, 1.1)
    root = cranium + down * 1.6 * unit
    base = np.array([root[0], chin[1] + rng.uniform(0.35, 0.9) * unit])
    neck = np.stack(
        [
            root + (-half, 0),
            root + (half, 0),
            base + (half * 1.15, 0),
            base + (half * 1.6, 4 * unit),
            base + (-half * 1.6, 4 * unit),
            base + (-half * 1.15, 0),
        ]
    )
    canvas.blend(_skin(scene, rng.uniform(0.55, 0.9)), canvas.mask(neck))
    shoulders = np.stack(
        [
            base + (-half * 1.2, 0.1 * unit),
            base + (0, rng.uniform(0.2, 0.8) * unit),
            base + (half * 1.2, 0.1 * unit),
            base + (3.2 * unit, 1.2 * unit),
            base + (3.2 * unit, 5 * unit),
            base + (-3.2 * unit, 5 * unit),
            base + (-3.2 * unit, 1.2 * unit),
        ]
    )
    canvas.fill(shoulders, rng.uniform(15, 235, 3))


def _paint_ears(scene: Scene, rng: np.random.Generator) -> None:
    # Ears hang where the jaw curve begins: their lobes tell where that is.
    unit, identity = scene.unit, scene.shape.identity
    tone = scene.skin * rng.uniform(0.8, 0.98)
    down = scene.camera.rotation[:2, 1]
    angle = np.arctan2(-down[0], down[1])
    for sign in (-1, 1):
        at = np.array([[sign * (identity.width + 0.06), identity.ear_y + 0.22, -0.72]])
        ear = scene.camera.project(at)[0]
        outline = ellipse(ear, (0.24 * unit, 0.48 * unit), angle + 0.12 * sign)
        scene.canvas.fill(outline, scene.lit(tone, ear))
        inner = ellipse(ear, (0.11 * unit, 0.28 * unit), angle)
        scene.canvas.fill(inner, scene.lit(tone * 0.75, ear))


def _paint_sides(scene: Scene, rng: np.random.Generator) -> None:
    """Paint the sides of the head behind the jaw line."""
    jaw = scene.shape.jaw
    lower = jaw[np.abs(jaw[:, 0]) > 0.2]
    behind = lower * (0.97, 1.0, 1.0) + (0, -0.12, -0.55)
    placed = scene.camera.project(np.concatenate([lower, behind]))
    hull = cv2.convexHull(placed.astype(np.float32))[:, 0]
    darkness = rng.uniform(0.72, 0.95)
    scene.canvas.blend(_skin(scene, darkness), scene.canvas.mask(hull))


def _paint_face(scene: Scene, rng: np.random.Generator) -> None:
    """Paint the skin within the jaw curve and the forehead."""
    canvas, shape = scene.canvas, scene.shape
    outline = scene.camera.project(np.concatenate([shape.jaw, shape.forehead]))
    mask = canvas.mask(outline)
    softness = rng.uniform(0.3, 1.2) * SUPERSAMPLING
    mask = cv2.GaussianBlur(mask, (0, 0), softness)
    canvas.blend(_skin(scene, 1.0), mask)
    edge = scene.camera.project(shape.jaw)
    if rng.random() < 0.5:
        canvas.line(edge, scene.lit(scene.skin * 0.8, edge[80]), 0.5)


def paint_front_hair(scene: Scene, rng: np.random.Generator) -> None:
    """Paint the hair over the forehead."""
    if scene.bald:
        return
    hairline = _draw_hairline(scene, rng)
    top = scene.shape.forehead * (1.1, 1.14, 1.0) + (0, 0, -0.05)
    outline = np.concatenate([top, hairline[::-1]])
    scene.canvas.fill(scene.camera.project(outline), scene.hair)
    crown = scene.camera.project(top)
    roots = scene.camera.project(hairline)[::-1]
    for _ in range(14):
        a = crown[::-1][rng.integers(len(crown))]
        b = roots[rng.integers(len(roots))]
        if np.linalg.norm(a - b) < 1.1 * scene.unit:
            tone = np.clip(scene.hair * rng.uniform(0.6, 1.6), 0, 255)
            scene.canvas.line(np.stack([a, b]), tone, 0.5)


def _draw_hairline(scene: Scene, rng: np.random.Generator) -> np.ndarray:
    """Return where the hair begins, ``(13, 3)`` from right to left."""
    identity = scene.shape.identity
    height = rng.uniform(-1.25, -0.72)
    slant = rng.uniform(-0.25, 0.25)
    x = np.linspace(1.02, -1.02, 13)
    bend = rng.uniform(0.15, 0.9)
    y = height + bend * np.abs(x) ** 3 + slant * x + rng.normal(0, 0.05, 13)
    y = np.clip(y, None, identity.ear_y - 0.1)
    z = 0.1 - 0.6 * np.abs(x) ** 2
    return np.stack([x * identity.width, y, z], 1)
