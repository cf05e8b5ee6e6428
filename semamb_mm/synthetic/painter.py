"""Paints procedural faces, part by part, back to front."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .background import paint_background
from .features import paint_brows, paint_eyes, paint_glasses, paint_mouth, paint_nose
from .head import paint_front_hair, paint_head
from .occluders import paint_occluder
from .scene import Scene
from .shading import shade_skin

# A part's place is its number: videos draw a part's random numbers by it.
_PARTS = (
    paint_background,
    shade_skin,
    paint_head,
    paint_nose,
    paint_eyes,
    paint_mouth,
    paint_brows,
    paint_front_hair,
    paint_glasses,
)


class FacePainter(Scene):
    """A scene that paints itself, see :class:`Scene` for the arguments."""

    def paint(
        self, streams: Callable[[int], np.random.Generator] | None = None
    ) -> None:
        """Paint everything.

        Args:
            streams: Gives each part, by number, its own random numbers. A part then
                looks the same whatever the others needed: frames of a video.
        """
        for number, part in enumerate(_PARTS):
            part(self, self.rng if streams is None else streams(number))

    def occlude(self, rng: np.random.Generator | None = None) -> np.ndarray:
        """Hide a part of the face.

        Args:
            rng: Draws what hides it. Defaults to the painter's own.

        Returns:
            ``(68,)`` bool, the landmarks that are hidden.
        """
        return paint_occluder(self, self.rng if rng is None else rng)
