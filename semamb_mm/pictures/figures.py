"""Matplotlib figures in one style, without its global state; their files are whole."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from semamb_mm.formats.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Okabe and Ito's colours, which colour-blind readers tell apart.
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9"),
    *("#000000", "#999999"),
)
STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.labelsize": 9,
    "axes.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.7,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "pdf.fonttype": 42,  # text stays text
    "svg.fonttype": "none",
}
DOTS = 150  # an inch


@contextmanager
def styled() -> Iterator[None]:
    """Draw all figures in one style; Matplotlib's own settings come back after it."""
    # Not at the top: training needs no matplotlib.
    import matplotlib
    from cycler import cycler

    with matplotlib.rc_context(STYLE | {"axes.prop_cycle": cycler(color=COLOURS)}):
        yield


@contextmanager
def drawn_figure(
    path: str | os.PathLike,
    width: float,
    height: float,
    panels: int = 1,
    widths: tuple[float, ...] | None = None,
) -> Iterator[np.ndarray]:
    """Give axes ``(panels,)`` side by side to draw in; then write the file.

    What is drawn within the ``with`` has the style of all figures.

    Args:
        path: The file, .png, .pdf or .svg; written whole or not at all.
        width: Inches.
        height: Inches.
        panels: Their number.
        widths: Of the panels, beside each other; all alike without it.
    """
    with styled():
        figure, row = new_figure(width, height, panels, widths)
        yield row
        save_figure(figure, path)


def new_figure(
    width: float,
    height: float,
    panels: int = 1,
    widths: tuple[float, ...] | None = None,
) -> tuple[Figure, np.ndarray]:
    """Return a figure of panels side by side, and its axes ``(panels,)``.

    Args:
        width: Inches.
        height: Inches.
        panels: Their number.
        widths: Of the panels, beside each other; all alike without it.
    """
    # Not at the top: training needs no matplotlib.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(1, panels, squeeze=False, width_ratios=widths)[0]


def save_figure(figure: Figure, path: str | os.PathLike, dpi: int = DOTS) -> None:
    """Write a figure as a file, whole or not at all; its suffix tells the format."""
    kind = Path(path).suffix.lstrip(".").lower() or "png"
    with atomic_path(path) as unfinished:
        figure.savefig(unfinished, format=kind, dpi=dpi)
