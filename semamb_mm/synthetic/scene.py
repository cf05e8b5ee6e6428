"""One procedural face before its camera: who it is, in what light, on which canvas."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .camera import Camera
from .canvas import SUPERSAMPLING, Canvas
from .shape import Expression, Shape, mirrored

SHADE_STEP = 4  # canvas pixels per cell of the shading map


def _tones(*bgr: str) -> np.ndarray:
    return np.array([tone.split() for tone in bgr], np.float64)


_SKIN_TONES = _tones(
    "180 205 240", "150 185 228", "120 160 210", "95 135 190", "70 105 160",
    "50 75 115", "40 55 85",
)  # fmt: skip
_HAIR_TONES = _tones(
    "20 20 25", "25 35 50", "35 60 90", "90 150 195", "40 70 140", "170 170 170"
)


class Moment(NamedTuple):
    """What of a face changes from frame to frame of a video.

    Attributes:
        expression: Of the face.
        angles: Yaw, pitch and roll of the head, radians.
        scale: Image pixels per shape unit.
        offset: ``(2,)`` image pixels, where the shape's origin is.
        light: ``(3,)`` factors on the direction of the light.
    """

    expression: Expression
    angles: tuple[float, float, float]
    scale: float
    offset: np.ndarray
    light: np.ndarray


class Scene:
    """A face, its colours, pose and light, and the canvas it is painted on.

    Args:
        rng: Draws the face, and then what is painted.
        image_size: Side of the square image in pixels.
        moment: Instead of the expression, pose and light that were drawn; the
            person stays the same.

    Attributes:
        keypoints: ``(68, 2)`` true landmarks, image pixels.
        unit: Image pixels per shape unit.
        skin, hair: ``(3,)`` colours, BGR.
        light: ``(3,)`` unit vector towards the light.
        bald: Whether there is no hair; drawn with the head.
        shade_grid: Brightness of the skin on a coarse grid; of the shading.
        skin_layer: ``(side, side, 3)`` uint8, the whole canvas as lit skin.
    """

    shade_grid: np.ndarray
    skin_layer: np.ndarray

    def __init__(
        self,
        rng: np.random.Generator,
        image_size: int,
        moment: Moment | None = None,
    ) -> None:
        self.rng = rng
        self.shape = Shape(rng, moment and moment.expression)
        self.camera = Camera(rng, self.shape.landmarks, image_size)
        if moment is not None:
            self.camera.turn(*moment.angles)
            self.camera.scale, self.camera.offset = moment.scale, moment.offset
        self.keypoints = self.camera.project(self.shape.landmarks)
        self.canvas = Canvas(image_size)
        self.unit = self.camera.scale
        self.skin = _draw_skin(rng)
        tones = len(_HAIR_TONES) if self.skin.mean() > 120 else 3
        self.hair = _HAIR_TONES[rng.integers(tones)] * rng.uniform(0.8, 1.3, 3)
        self.male = rng.random() < 0.5
        self.bald = False
        light = rng.normal(0, 1, 3) * (0.8, 0.5, 0.2) + (0, -0.35, 1.0)
        if moment is not None:
            light = light * moment.light
        self.light = light / np.linalg.norm(light)

    def both_sides(self, points: np.ndarray) -> list[np.ndarray]:
        """Return a curve's image pixels, its mirror image's first."""
        return [self.camera.project(mirrored(points)), self.camera.project(points)]

    def lit(self, colour: np.ndarray, where: np.ndarray) -> np.ndarray:
        """Return a colour under the light at an image position ``(2,)``."""
        step = SHADE_STEP / SUPERSAMPLING
        last = len(self.shade_grid) - 1
        x, y = (min(max(int(value / step), 0), last) for value in where)
        light = min(max(float(self.shade_grid[y, x]), 0.25), 1.3)
        return np.minimum(colour * light, 255)


def _draw_skin(rng: np.random.Generator) -> np.ndarray:
    """Draw a colour between two neighbouring tones."""
    tone = rng.uniform(0, len(_SKIN_TONES) - 1)
    low = int(tone)
    high = min(low + 1, len(_SKIN_TONES) - 1)
    skin = _SKIN_TONES[low] + (tone - low) * (_SKIN_TONES[high] - _SKIN_TONES[low])
    return skin * rng.uniform(0.92, 1.08, 3)
