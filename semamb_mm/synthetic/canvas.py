"""The canvas that procedural faces are painted on, and what is drawn on it.

Image coordinates: pixels, with the centre of the top left pixel at (0, 0).
"""

from __future__ import annotations

import cv2
import numpy as np

SUPERSAMPLING = 2
SHIFT = 4  # fractional bits of the coordinates given to OpenCV


class Canvas:
    """A supersampled canvas; positions are in image pixels.

    Args:
        image_size: Side of the square image in pixels.

    Attributes:
        side: Side of the canvas in canvas pixels.
        pixels: ``(side, side, 3)`` uint8, BGR.
    """

    def __init__(self, image_size: int) -> None:
        self.side = image_size * SUPERSAMPLING
        self.pixels = np.zeros((self.side, self.side, 3), np.uint8)

    @staticmethod
    def fixed(points: np.ndarray) -> np.ndarray:
        """Return OpenCV's fixed-point canvas coordinates of image pixels."""
        # image pixel x covers canvas pixels 2x and 2x + 1: its centre is 2x + 1/2
        canvas = points * SUPERSAMPLING + (SUPERSAMPLING - 1) / 2
        return np.round(canvas * (1 << SHIFT)).astype(np.int32)

    def coordinates(self, points: np.ndarray) -> np.ndarray:
        """Return the canvas coordinates of image pixels, as exact as OpenCV draws."""
        return self.fixed(points) / (1 << SHIFT)

    def fill(self, points: np.ndarray, colour: np.ndarray) -> None:
        """Draw a filled polygon."""
        cv2.fillPoly(
            self.pixels,
            [self.fixed(points)],
            tuple(map(float, colour)),
            cv2.LINE_AA,
            SHIFT,
        )

    def line(
        self,
        points: np.ndarray,
        colour: np.ndarray,
        width: float,
        closed: bool = False,
    ) -> None:
        """Draw a polyline ``width`` image pixels wide (at least one canvas pixel)."""
        thickness = max(1, round(width * SUPERSAMPLING))
        cv2.polylines(
            self.pixels,
            [self.fixed(points)],
            closed,
            tuple(map(float, colour)),
            thickness,
            cv2.LINE_AA,
            SHIFT,
        )

    def mask(self, points: np.ndarray) -> np.ndarray:
        """Return the coverage of a polygon, ``(side, side)`` uint8."""
        mask = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(mask, [self.fixed(points)], 255, cv2.LINE_AA, SHIFT)
        return mask

    def blend(self, layer: np.ndarray, mask: np.ndarray) -> None:
        """Paint ``layer`` where ``mask`` (uint8 coverage) says."""
        x, y, width, height = cv2.boundingRect(mask)
        window = (slice(y, y + height), slice(x, x + width))
        weight = mask[window].astype(np.float32) * np.float32(1 / 255)
        self.pixels[window] = cv2.blendLinear(
            layer[window], self.pixels[window], weight, 1 - weight
        )


def ellipse(
    centre: np.ndarray, radii: tuple[float, float], angle: float = 0.0, count: int = 40
) -> np.ndarray:
    """Return the outline ``(count, 2)`` of an ellipse."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    outline = np.stack([radii[0] * np.cos(t), radii[1] * np.sin(t)], 1)
    cosine, sine = np.cos(angle), np.sin(angle)
    return centre + outline @ np.array([[cosine, sine], [-sine, cosine]])


def smooth_noise(
    rng: np.random.Generator, size: int, cells: int, channels: int
) -> np.ndarray:
    """Return ``(size, size, channels)`` float32 noise of about unit standard deviation.

    It is interpolated between ``cells`` random numbers a side.
    """
    coarse = rng.standard_normal((cells, cells, channels), dtype=np.float32)
    field = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return field.reshape(size, size, channels)
