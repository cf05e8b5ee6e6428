"""Picture of cumulative error curves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

_PANEL = (5.0, 4.0)  # inches


def draw_error_curves(
    file: IO[bytes], curves: Mapping[str, Mapping[str, np.ndarray]], limit: float
) -> None:
    """Draw the share of faces with an error of at most so much, as a PNG file.

    Args:
        file: To write to.
        curves: Norm, one panel each, to a curve's label to its ``(N,)`` errors as
            fractions of the norm.
        limit: The largest error shown, in the same unit.
    """
    figure = Figure(figsize=(_PANEL[0] * len(curves), _PANEL[1]), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, len(curves), squeeze=False)[0]
    for panel, (norm, lines) in zip(panels, curves.items()):
        for label, errors in lines.items():
            shown = np.sort(errors[errors <= limit])
            shares = np.arange(len(shown) + 1) / len(errors)
            panel.step(
                100 * np.append(np.insert(shown, 0, 0), limit),
                100 * np.append(shares, shares[-1]),
                where="post",
                label=label,
            )
        panel.set(
            xlim=(0, 100 * limit),
            ylim=(0, 100),
            xlabel=f"mean error of a face, % of {norm}",
            ylabel="share of faces, %",
        )
        panel.grid(alpha=0.3)
        panel.legend(loc="lower right", fontsize="small")
    figure.savefig(file, format="png", dpi=120)
