"""The light on a procedural face's skin, on a coarse grid: soft shadows cost little."""

from __future__ import annotations

import cv2
import numpy as np

from .canvas import SHIFT, SUPERSAMPLING, ellipse, smooth_noise
from .scene import SHADE_STEP, Scene
from .shape import mirrored

_CELL = SHADE_STEP / SUPERSAMPLING  # image pixels


def shade_skin(scene: Scene, rng: np.random.Generator) -> None:
    """Work out the scene's ``shade_grid`` and ``skin_layer``."""
    cells = scene.canvas.side // SHADE_STEP
    shade = _light_on_head(scene, cells, ambient=rng.uniform(0.35, 0.75))
    contrast = rng.uniform(0.6, 1.3)
    for outline, amount, blur in _shadows(scene):
        shade += amount * contrast * _soft_patch(scene, cells, outline, blur)
    shade += 0.03 * smooth_noise(rng, cells, 9, 1)[..., 0]
    shade += 0.02 * smooth_noise(rng, cells, cells // 2, 1)[..., 0]
    tint = np.ones((cells, cells, 3), np.float32)
    if scene.male and rng.random() < 0.45:
        _add_beard(scene, rng, tint)
    scene.shade_grid = shade
    scene.skin_layer = _skin_layer(scene, rng, tint)


def _light_on_head(scene: Scene, cells: int, ambient: float) -> np.ndarray:
    """Return the brightness ``(cells, cells)`` of an ellipsoid in place of the head."""
    ticks = (np.arange(cells, dtype=np.float32) + 0.5) * _CELL - 0.5
    centre = scene.camera.project(np.array([[0.0, 0.7, 0.0]]))[0]
    down = scene.camera.rotation[:2, 1]
    roll = down / np.linalg.norm(down)
    dx = (ticks[None, :] - centre[0]) / scene.unit
    dy = (ticks[:, None] - centre[1]) / scene.unit
    nx = (dx * roll[1] - dy * roll[0]) / 1.9
    ny = (dx * roll[0] + dy * roll[1]) / 2.6
    nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.02, 1))
    x, y, z = scene.light
    lambert = np.clip(nx * x + ny * y + nz * z, 0, None)
    return ambient + (1.12 - ambient) * lambert


def _soft_patch(
    scene: Scene, cells: int, outline: np.ndarray, blur: float
) -> np.ndarray:
    """Return a polygon's blurred coverage ``(cells, cells)``; blur in shape units."""
    patch = np.zeros((cells, cells), np.float32)
    scaled = (outline + 0.5) / _CELL - 0.5
    fixed = np.round(scaled * (1 << SHIFT)).astype(np.int32)
    cv2.fillPoly(patch, [fixed], 1.0, cv2.LINE_8, SHIFT)
    sigma = blur * scene.unit / _CELL
    return cv2.GaussianBlur(patch, (0, 0), max(sigma, 0.5))


def _shadows(scene: Scene) -> list[tuple[np.ndarray, float, float]]:
    """Return the outline, amount of light (> 0) or shadow (< 0), and blur of each."""
    shape, unit, project = scene.shape, scene.unit, scene.camera.project
    shadows = [
        (ellipse(eye[0], (0.42 * unit, 0.25 * unit)), -0.16, 0.12)
        for eye in scene.both_sides(shape.eye_centre[None])
    ]
    bridge, base = shape.bridge, shape.nose_base
    dark_side = 1.0 if scene.light[0] < 0 else -1.0
    flank = base[4] if dark_side > 0 else base[0]
    side = np.stack(
        [bridge[0], bridge[3], flank, bridge[1] + (0.2 * dark_side, 0, -0.2)]
    )
    under_nose = np.concatenate([base, base[::-1] + (0, 0.14, -0.1)])
    tip = project(bridge[3:])[0]
    lower_lip = shape.landmarks[[55, 56, 57, 58, 59]]
    under_lip = np.concatenate([lower_lip, lower_lip[::-1] + (0, 0.14, -0.05)])
    shadows += [
        (project(side), -0.28, 0.06),
        (project(mirrored(side)), 0.06, 0.06),
        (project(under_nose), -0.22, 0.05),
        (ellipse(tip, (0.1 * unit,) * 2), 0.2, 0.05),
        (project(under_lip), -0.16, 0.05),
    ]
    if shape.expression.smile > 0.3:
        shadows += [(project(fold), -0.2, 0.03) for fold in _smile_folds(scene)]
    return shadows


def _smile_folds(scene: Scene) -> list[np.ndarray]:
    """Return the two folds ``(4, 3)`` from the nose to the corners of the mouth."""
    folds = []
    for sign in (-1, 1):
        corner = scene.shape.landmarks[54] * (sign, 1, 1)
        wing = scene.shape.nose_base[4] * (sign, 1, 1)
        fold = [
            wing,
            (wing + corner) / 2 + (0.2 * sign, 0, 0),
            corner + (0.12 * sign, 0, 0),
            (wing + corner) / 2 + (0.14 * sign, 0, 0),
        ]
        folds.append(np.stack(fold))
    return folds


def _add_beard(scene: Scene, rng: np.random.Generator, tint: np.ndarray) -> None:
    """Tint the skin of chin and cheeks like the hair, in place."""
    cells = len(tint)
    jaw = scene.shape.jaw
    low = jaw[jaw[:, 1] > 0.9]
    top = np.array([[0.95, 1.2, 0], [0.5, 1.25, 0.2], [0.0, 1.22, 0.3]])
    top = np.concatenate([top, mirrored(top[-2::-1])])
    outline = scene.camera.project(np.concatenate([low, top]))
    patch = _soft_patch(scene, cells, outline, 0.1)
    grain = 1 + 0.15 * rng.standard_normal((cells, cells), dtype=np.float32)
    amount = np.clip(rng.uniform(0.15, 0.7) * patch * grain, 0, 1)[..., None]
    tint *= 1 - amount
    tint += amount * (scene.hair / scene.skin)


def _skin_layer(scene: Scene, rng: np.random.Generator, tint: np.ndarray) -> np.ndarray:
    """Return the whole canvas as lit, grained skin."""
    side = scene.canvas.side
    shade = np.clip(scene.shade_grid, 0.1, 1.4)[..., None]
    layer = (shade * tint * scene.skin).astype(np.float32)
    layer = cv2.resize(layer, (side // 2, side // 2))
    grain = rng.standard_normal((side // 2, side // 2, 1), dtype=np.float32)
    layer += np.float32(rng.uniform(0.01, 0.035) * scene.skin.mean()) * grain
    layer = np.clip(layer, 0, 255, out=layer).astype(np.uint8)
    return cv2.resize(layer, (side, side))
