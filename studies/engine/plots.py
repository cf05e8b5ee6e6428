"""Pictures of curves, all studies' in one style."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from matplotlib.axes import Axes

from semamb_mm.pictures.figures import drawn_figure

_PANEL = (4.5, 3.6)  # inches


@contextmanager
def panels(path: str | os.PathLike, count: int = 1) -> Iterator[Sequence[Axes]]:
    """Give axes side by side to draw in; then write the picture."""
    with drawn_figure(path, _PANEL[0] * count, _PANEL[1], count) as row:
        yield row
        for axes in row:
            if axes.get_legend_handles_labels()[1]:
                axes.legend()


def curve(
    axes: Axes, series: Sequence[Mapping[float, float]], label: str, number: int
) -> None:
    """Draw each seed's curve thin, and their mean where all of them have a point.

    Args:
        axes: Where to draw.
        series: Of each seed, x to y.
        label: For the legend.
        number: Tells the colour.
    """
    colour = f"C{number % 10}"
    for values in series:
        axes.plot(list(values), list(values.values()), color=colour, lw=0.6, alpha=0.5)
    common = sorted(set.intersection(*map(set, series)))
    mean = [statistics.mean(values[x] for values in series) for x in common]
    axes.plot(common, mean, color=colour, lw=1.8, label=label)
