"""Rows of framed images with captions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .figures import save_figure, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches: of the whole, of an image at least, of a line of text, between images.
_WIDTH, _SIDE, _LINE, _GAP = 7.6, 1.1, 0.17, 0.08
_SMALL = 8  # points, of captions


class Framed(NamedTuple):
    """An image of a grid.

    Attributes:
        image: ``(H, W, 3)`` uint8, RGB.
        colour: Of its frame, as Matplotlib takes it.
        caption: Below it.
    """

    image: np.ndarray
    colour: str
    caption: str


def draw_image_grid(
    path: str | os.PathLike,
    rows: Sequence[Sequence[Framed]],
    title: str,
    headings: Sequence[str] = (),
) -> None:
    """Write a picture of rows of images.

    Args:
        path: The file, .png, .pdf or .svg; written whole or not at all.
        rows: Some may be shorter than others.
        title: Above all; what the frames' colours mean. It may have several lines.
        headings: Of the first columns.

    Raises:
        ValueError: Without rows.
    """
    if not rows:
        raise ValueError("draw_image_grid needs at least one row of images")
    # Not at the top: training needs no matplotlib.
    from matplotlib.figure import Figure

    columns = max(map(len, rows))
    side = max(_SIDE, _WIDTH / columns)
    lines = [max(len(framed.caption.splitlines()) for framed in row) for row in rows]
    heights = [side + _LINE * count + _GAP for count in lines]
    top = _LINE * (title.count("\n") + 2 + 1.5 * bool(headings))
    width, height = columns * side, top + sum(heights)
    with styled():
        figure = Figure(figsize=(width, height))
        figure.text(_GAP / width, 1 - _LINE / 2 / height, title, va="top")
        for column, heading in enumerate(headings):
            x = (column * side + _GAP) / width
            figure.text(x, 1 - (top - _LINE / 2) / height, heading, weight="bold")
        for number, row in enumerate(rows):
            y = height - top - sum(heights[:number]) - side
            for column, framed in enumerate(row):
                x, shown = column * side + _GAP / 2, side - _GAP
                place = (x / width, y / height, shown / width, shown / height)
                _draw_framed(figure.add_axes(place), framed)
        save_figure(figure, path)


def _draw_framed(axes: Axes, framed: Framed) -> None:
    axes.imshow(framed.image)
    axes.grid(visible=False)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=framed.colour, linewidth=3)
    axes.text(
        0,
        -0.04,
        framed.caption,
        transform=axes.transAxes,
        fontsize=_SMALL,
        va="top",
        linespacing=1.1,
    )
