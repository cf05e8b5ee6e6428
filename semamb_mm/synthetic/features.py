"""The features of a procedural face: nose, eyes, mouth, brows and glasses."""

from __future__ import annotations

import cv2
import numpy as np

from semamb_mm.faces.curves import LandmarkCurve
from semamb_mm.faces.landmarks import PARTS_68

from .canvas import ellipse
from .scene import Scene

_IRISES = np.array(
    [[60, 40, 25], [20, 45, 80], [40, 70, 95], [140, 110, 70], [110, 130, 90]]
)


def paint_nose(scene: Scene, rng: np.random.Generator) -> None:
    """Paint nostrils, wings and the lower edge; draws no random numbers."""
    canvas, unit = scene.canvas, scene.unit
    base = scene.keypoints[PARTS_68["nose_base"].span]
    dark = scene.lit(scene.skin * 0.55, base[2])
    for outer, inner in ((0, 1), (4, 3)):
        nostril = 0.35 * base[outer] + 0.65 * base[inner]
        canvas.fill(ellipse(nostril, (0.085 * unit, 0.045 * unit)), dark * 0.6)
    x, y, z = scene.shape.nose_base[4]
    wing = np.array(
        [
            [x * 0.92, y - 0.24, z],
            [x * 1.12, y - 0.12, z],
            [x * 1.08, y - 0.02, z],
            [x, y, z],
        ]
    )
    for placed, end in zip(scene.both_sides(wing), (base[0], base[4])):
        canvas.line(placed, scene.lit(scene.skin * 0.68, end), 0.025 * unit)
    curve = LandmarkCurve(base, closed=False).dense
    canvas.line(curve, scene.lit(scene.skin * 0.66, base[2]), 0.03 * unit)


def paint_eyes(scene: Scene, rng: np.random.Generator) -> None:
    """Paint both eyes, of one colour."""
    colour = _IRISES[rng.integers(len(_IRISES))] * rng.uniform(0.6, 1.3)
    lid_width = rng.uniform(0.02, 0.055) * scene.unit
    uppers = scene.both_sides(scene.shape.eye_upper)
    lowers = scene.both_sides(scene.shape.eye_lower)
    for sign, upper, lower in zip((-1, 1), uppers, lowers, strict=True):
        _paint_eye(scene, sign, upper, lower, colour)
        middle = np.concatenate([upper, lower[::-1]]).mean(0)
        skin = scene.lit(scene.skin * 0.6, middle)
        scene.canvas.line(lower, skin, 0.02 * scene.unit)
        lashes = scene.lit(np.array([25.0, 28.0, 35.0]), middle)
        scene.canvas.line(upper, lashes, lid_width)


def _paint_eye(
    scene: Scene, sign: int, upper: np.ndarray, lower: np.ndarray, colour: np.ndarray
) -> None:
    """Paint an eye's crease, and the eyeball where the lids leave it free."""
    canvas = scene.canvas
    outline = np.concatenate([upper, lower[::-1]])
    middle = outline.mean(0)
    crease = scene.shape.eye_upper * (sign, 1, 1) + (0, -0.1, 0)
    tone = scene.lit(scene.skin * 0.72, middle)
    canvas.line(scene.camera.project(crease[4:-4]), tone, 0.025 * scene.unit)

    first = np.floor(canvas.coordinates(outline.min(0)) - 4).astype(int)
    end = np.ceil(canvas.coordinates(outline.max(0)) + 5).astype(int)
    window = (slice(first[1], end[1]), slice(first[0], end[0]))
    behind = canvas.pixels[window].copy()
    mask = canvas.mask(outline)[window][..., None].astype(np.float32) / 255
    white = scene.lit(np.array([215.0, 218.0, 225.0]), middle)
    canvas.fill(outline + (outline - middle) * 0.2, white)
    _paint_iris(scene, sign, scene.lit(colour, middle))
    blended = behind + (canvas.pixels[window] - behind.astype(np.float32)) * mask
    canvas.pixels[window] = blended.astype(np.uint8)


def _paint_iris(scene: Scene, sign: int, colour: np.ndarray) -> None:
    """Paint iris, pupil and the light's reflection."""
    canvas, shape = scene.canvas, scene.shape
    centre = shape.eye_centre * (sign, 1, 1) + (*shape.expression.gaze, 0.1)
    iris = scene.camera.project(centre[None])[0]
    radius = shape.IRIS_RADIUS * scene.unit
    canvas.fill(ellipse(iris, (radius, radius)), colour)
    canvas.fill(ellipse(iris, (radius * 0.45,) * 2), np.array([12.0, 12.0, 12.0]))
    glint = iris + np.array([scene.light[0], scene.light[1]]) * radius * 0.5
    canvas.fill(ellipse(glint, (radius * 0.2,) * 2, count=10), np.full(3, 245))


def paint_mouth(scene: Scene, rng: np.random.Generator) -> None:
    """Paint the lips, what is between them, and sometimes teeth."""
    canvas = scene.canvas
    outer, inner = (
        LandmarkCurve(scene.keypoints[PARTS_68[part].span], closed=True).dense[:-1]
        for part in ("outer_lips", "inner_lips")
    )
    middle = scene.keypoints[PARTS_68["inner_lips"].span][2]
    red = scene.skin * np.array([0.72, 0.66, 0.9]) * rng.uniform(0.75, 1.05)
    if not scene.male and rng.random() < 0.5:
        red = red * 0.5 + 0.5 * np.array([70, 50, 175]) * rng.uniform(0.6, 1.1)
    lips = scene.lit(red, middle)
    canvas.fill(outer, lips * 0.9)
    lower_lip = np.concatenate([outer[6 * LandmarkCurve.STEPS :], outer[:1]])
    canvas.fill(lower_lip, np.clip(lips * 1.08, 0, 255))
    canvas.line(outer, lips * 0.85, 0.4, closed=True)
    canvas.fill(inner, scene.lit(np.array([25.0, 20.0, 50.0]), middle))
    if scene.shape.expression.opening > 0.05 and rng.random() < 0.8:
        _paint_teeth(scene, inner, middle)
    seam = scene.lit(red * 0.42, middle)
    canvas.line(inner, seam, 0.02 * scene.unit, closed=True)


def _paint_teeth(scene: Scene, inner: np.ndarray, middle: np.ndarray) -> None:
    """Paint the upper teeth where the inner lips leave them free."""
    canvas = scene.canvas
    upper = inner[: 4 * LandmarkCurve.STEPS + 1]
    height = 0.6 * scene.shape.expression.opening
    drop = scene.camera.rotation[:2, 1] * scene.unit * min(height, 0.14)
    teeth = np.concatenate([upper, upper[::-1] + drop])
    mask = cv2.bitwise_and(canvas.mask(teeth), canvas.mask(inner))
    colour = scene.lit(np.array([205.0, 220.0, 228.0]), middle)
    canvas.pixels[mask > 127] = colour.astype(np.uint8)


def paint_brows(scene: Scene, rng: np.random.Generator) -> None:
    """Paint both brows, hair by hair."""
    canvas, shape = scene.canvas, scene.shape
    colour = scene.hair * rng.uniform(0.5, 0.9)
    strength = rng.uniform(0.55, 1.0)
    tone = strength * colour + (1 - strength) * scene.skin
    taper = np.sin(np.pi * np.linspace(0.08, 1, len(shape.brow))) ** 0.5
    thickness = shape.identity.brow_thickness * taper
    drop = np.stack([0 * taper, thickness, 0 * taper], 1)
    tops = scene.both_sides(shape.brow)
    bottoms = scene.both_sides(shape.brow + drop)
    for top, bottom in zip(tops, bottoms, strict=True):
        middle = top[20]
        canvas.fill(np.concatenate([top, bottom[::-1]]), scene.lit(tone, middle))
        for start in range(2, len(top) - 6, 5):
            a, b = bottom[start], top[start + 5]
            hair = scene.lit(tone * rng.uniform(0.6, 1.3), middle)
            canvas.line(np.stack([a, b]), hair, 0.5)


def paint_glasses(scene: Scene, rng: np.random.Generator) -> None:
    """Paint glasses on some faces."""
    if rng.random() >= 0.15:
        return
    canvas, identity = scene.canvas, scene.shape.identity
    colour = rng.uniform(5, 90, 3)
    width = rng.uniform(0.03, 0.08) * scene.unit
    radii = (rng.uniform(0.42, 0.5), rng.uniform(0.3, 0.42))
    centre = scene.shape.eye_centre + (0, 0.05, 0.25)
    rim = _rim(radii, rng.uniform(0.5, 1.0))
    for placed in scene.both_sides(rim + centre):
        canvas.line(placed, colour, width, closed=True)
    bar = np.array([[centre[0] - radii[0], 0.0, centre[2]]])
    canvas.line(np.concatenate(scene.both_sides(bar)), colour, width)
    temple = np.array(
        [
            [centre[0] + radii[0], centre[1], centre[2]],
            [identity.width + 0.04, identity.ear_y - 0.05, -0.6],
        ]
    )
    for placed in scene.both_sides(temple):
        canvas.line(placed, colour, width)


def _rim(radii: tuple[float, float], power: float) -> np.ndarray:
    """Return a superellipse ``(32, 3)``; the smaller the power, the squarer."""
    t = np.linspace(0, 2 * np.pi, 32, endpoint=False)
    rim = np.zeros((32, 3))
    for axis, wave in enumerate((np.cos(t), np.sin(t))):
        rim[:, axis] = radii[axis] * np.sign(wave) * np.abs(wave) ** power
    return rim
