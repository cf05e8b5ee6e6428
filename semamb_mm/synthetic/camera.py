"""Where a procedural face lies in the image: pose, size and place."""

from __future__ import annotations

import numpy as np


class Camera:
    """Rotation, weak perspective and placement: shape coordinates to pixels.

    Args:
        rng: Draws the pose and the place.
        landmarks: ``(N, 3)`` that the image must hold.
        image_size: Side of the square image in pixels.
    """

    def __init__(
        self, rng: np.random.Generator, landmarks: np.ndarray, image_size: int
    ) -> None:
        yaw = np.deg2rad(np.clip(rng.normal(0, 15), -35, 35))
        pitch = np.deg2rad(np.clip(rng.normal(0, 7), -16, 16))
        roll = np.deg2rad(np.clip(rng.normal(0, 8), -25, 25))
        self.turn(yaw, pitch, roll)
        self.scale = image_size * rng.uniform(0.145, 0.185)
        self.offset = np.zeros(2)
        placed = self.project(landmarks)
        low, high = placed.min(0), placed.max(0)
        fit = 0.86 * image_size / (high - low).max()
        self.scale *= min(1.0, fit)
        placed = self.project(landmarks)
        low, high = placed.min(0), placed.max(0)
        wanted = image_size * (
            np.array([0.5, 0.57]) + rng.uniform(-1, 1, 2) * (0.07, 0.05)
        )
        border = 0.04 * image_size
        shift = wanted - (low + high) / 2
        shift = np.clip(shift, border - low, image_size - 1 - border - high)
        self.offset = shift

    def turn(self, yaw: float, pitch: float, roll: float) -> None:
        """Set the rotation, radians."""
        self.angles = (yaw, pitch, roll)
        cy, sy = np.cos(yaw), np.sin(yaw)
        cp, sp = np.cos(pitch), np.sin(pitch)
        cr, sr = np.cos(roll), np.sin(roll)
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        self.rotation = about_z @ about_x @ about_y

    def project(self, points: np.ndarray) -> np.ndarray:
        """Return the image pixels ``(N, 2)`` of shape coordinates ``(N, 3)``."""
        turned = points @ self.rotation.T
        return turned[:, :2] * self.scale * (1 + 0.05 * turned[:, 2:]) + self.offset
