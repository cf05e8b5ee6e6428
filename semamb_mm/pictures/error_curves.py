"""Picture of cumulative error curves."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from .figures import drawn_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL = (4.0, 3.2)  # inches


def draw_error_curves(
    path: str | os.PathLike,
    curves: Mapping[str, Mapping[str, np.ndarray]],
    limit: float,
) -> None:
    """Draw the share of faces with an error of at most so much.

    Args:
        path: The file, .png, .pdf or .svg; written whole or not at all.
        curves: Norm, one panel each, to a curve's label to its ``(N,)`` errors as
            fractions of the norm.
        limit: The largest error shown, in the same unit.
    """
    size = (_PANEL[0] * len(curves), _PANEL[1], len(curves))
    with drawn_figure(path, *size) as panels:
        for panel, (norm, lines) in zip(panels, curves.items()):
            for label, errors in lines.items():
                _draw_curve(panel, errors, limit, label)
            panel.set(
                xlim=(0, 100 * limit),
                ylim=(0, 100),
                xlabel=f"mean error of a face, % of {norm.replace('_', '-')}",
                ylabel="share of faces, %",
            )
            panel.legend(loc="lower right")


def _draw_curve(panel: Axes, errors: np.ndarray, limit: float, label: str) -> None:
    shown = np.sort(errors[errors <= limit])
    shares = np.arange(len(shown) + 1) / len(errors)
    panel.step(
        100 * np.append(np.insert(shown, 0, 0), limit),
        100 * np.append(shares, shares[-1]),
        where="post",
        label=label,
    )
