"""Picture of how trainings went: their loss, and what was measured meanwhile."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np

from .figures import drawn_figure

_PANEL = (4.2, 3.2)  # inches


def draw_training_curves(
    path: str | os.PathLike,
    runs: Mapping[str, Mapping[str, np.ndarray]],
    names: Sequence[str],
    start: int | None = None,
    unit: str = "epoch",
) -> None:
    """Draw a panel for each quantity, with a curve for each run.

    Args:
        path: The file, .png, .pdf or .svg; written whole or not at all.
        runs: A run's label to its curves: name of the quantity to ``(T, 2)``, when and
            how much. A run may lack some.
        names: Of the quantities, in the panels' order. What is positive in all runs
            and called a loss has a logarithmic scale.
        start: When targets begin to be searched; a dotted line.
        unit: What "when" is counted in.
    """
    size = (_PANEL[0] * len(names), _PANEL[1], len(names))
    with drawn_figure(path, *size) as panels:
        for panel, name in zip(panels, names):
            drawn = [(label, run[name]) for label, run in runs.items() if name in run]
            for label, points in drawn:
                mark = "o" if len(points) < 40 else ""
                panel.plot(*points.T, marker=mark, markersize=3, label=label)
            if name.startswith("loss") and all((c[:, 1] > 0).all() for _, c in drawn):
                panel.set_yscale("log")
            if start is not None:
                panel.axvline(start, color="0.4", linestyle=":", linewidth=1)
                panel.annotate(
                    "search begins",
                    (start, 1),
                    (3, -2),
                    xycoords=("data", "axes fraction"),
                    textcoords="offset points",
                    va="top",
                    fontsize="small",
                    color="0.4",
                )
            panel.set(xlabel=unit, title=name)
            panel.xaxis.get_major_locator().set_params(integer=True)
            if len(drawn) > 1:
                panel.legend(loc="upper right")
