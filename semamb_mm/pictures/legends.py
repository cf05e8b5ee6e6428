"""Strips that say what is drawn on pictures, to stand above or below them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from .texts import draw_text, text_width

_HEIGHT, _GAP, _PAD = 26, 16, 6
Colour = tuple[int, int, int]  # BGR


class Mark(NamedTuple):
    """What stands for one thing that is drawn.

    Attributes:
        label: What it is called.
        draw: Draws it on its place ``(H, width, 3)``, in place.
        width: Pixels.
    """

    label: str
    draw: Callable[[np.ndarray], None]
    width: int = 16


def dot(label: str, colour: Colour) -> Mark:
    """Return a filled circle."""
    return Mark(label, lambda place: _circle(place, colour, -1))


def ring(label: str, colour: Colour) -> Mark:
    """Return a circle."""
    return Mark(label, lambda place: _circle(place, colour, 2))


def line(label: str, colour: Colour) -> Mark:
    """Return a line."""

    def draw(place: np.ndarray) -> None:
        place[_HEIGHT // 2 - 1 : _HEIGHT // 2 + 1] = colour

    return Mark(label, draw)


def ramp(label: str, colour: Callable[[float], Colour]) -> Mark:
    """Return a bar of the colours of 0 to 1."""

    def draw(place: np.ndarray) -> None:
        colours = [colour(share) for share in np.linspace(0, 1, place.shape[1])]
        place[_HEIGHT // 2 - 4 : _HEIGHT // 2 + 4] = colours

    return Mark(label, draw, 60)


def _circle(place: np.ndarray, colour: Colour, thickness: int) -> None:
    # OpenCV draws on memory of its own only.
    drawn = place.copy()
    cv2.circle(drawn, (8, _HEIGHT // 2), 5, colour, thickness, cv2.LINE_AA)
    place[:] = drawn


def legend(marks: Sequence[Mark], width: int) -> np.ndarray:
    """Return a dark strip ``(H, width, 3)`` uint8, BGR, of as many lines as needed."""
    places, x, row = [], _PAD, 0
    for mark in marks:
        length = mark.width + _PAD + text_width(mark.label)
        if x > _PAD and x + length > width:
            x, row = _PAD, row + 1
        places.append((mark, x, row * _HEIGHT))
        x += length + _GAP
    strip = np.full(((row + 1) * _HEIGHT, width, 3), 40, np.uint8)
    for mark, left, top in places:
        mark.draw(strip[top : top + _HEIGHT, left : left + mark.width])
        corner = (left + mark.width + _PAD, top + 18)
        draw_text(strip, mark.label, corner, (255, 255, 255))
    return strip
