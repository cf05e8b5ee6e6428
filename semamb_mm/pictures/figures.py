"""Matplotlib figures without its global state, and files of them that are whole."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from semamb_mm.formats.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def new_figure(
    width: float, height: float, panels: int = 1
) -> tuple[Figure, np.ndarray]:
    """Return a figure of panels side by side, and its axes ``(panels,)``.

    Args:
        width: Inches.
        height: Inches.
        panels: Their number.
    """
    # Not at the top: training needs no matplotlib.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False)[0]


def save_figure(figure: Figure, path: str | os.PathLike, dpi: int = 110) -> None:
    """Write a figure as a PNG file, whole or not at all."""
    with atomic_path(path) as unfinished:
        figure.savefig(unfinished, format="png", dpi=dpi)
