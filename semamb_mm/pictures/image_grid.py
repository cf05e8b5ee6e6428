"""Rows of framed images with captions."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .figures import save_figure


class Framed(NamedTuple):
    """An image of a grid.

    Attributes:
        image: ``(H, W, 3)`` uint8, RGB.
        colour: Of its frame, as Matplotlib takes it.
        caption: Above it.
    """

    image: np.ndarray
    colour: str
    caption: str


def draw_image_grid(
    path: str | os.PathLike, rows: Sequence[Sequence[Framed]], title: str
) -> None:
    """Write a picture of rows of images.

    Args:
        path: The .png file.
        rows: Some may be shorter than others.
        title: Above the first image.
    """
    # Not at the top: training needs no matplotlib.
    from matplotlib.figure import Figure

    columns = max(map(len, rows))
    figure = Figure(figsize=(1.4 * columns, 1.55 * len(rows)))
    panels = figure.subplots(len(rows), columns, squeeze=False)
    for panel in panels.flat:
        panel.set(xticks=[], yticks=[])
        panel.axis("off")
    for line, row in zip(panels, rows, strict=True):
        for panel, framed in zip(line, row):
            panel.axis("on")
            panel.imshow(framed.image)
            panel.set_title(framed.caption, fontsize=7, pad=2)
            for spine in panel.spines.values():
                spine.set(color=framed.colour, linewidth=3)
    panels[0, 0].set_title(f"{title}\n{rows[0][0].caption}", fontsize=7, pad=2)
    figure.tight_layout(pad=0.4)
    save_figure(figure, path, dpi=100)
