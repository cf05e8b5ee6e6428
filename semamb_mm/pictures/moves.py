"""Plots of how far targets moved, landmark by landmark."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import longest_side

from .figures import new_figure, save_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

REGION_COLOURS = dict(
    contour="tab:red",
    brows="tab:orange",
    nose="tab:green",
    eyes="tab:blue",
    mouth="tab:purple",
)


def plot_moves(
    moves: np.ndarray,
    path: str | os.PathLike,
    unit: str,
    mean_shape: np.ndarray | None = None,
) -> None:
    """Plot how far targets moved, landmark by landmark, as a PNG file.

    Left, median and 90th percentile of each landmark's distance, coloured by
    region. Right, with ``mean_shape``, the mean face: dots sized and coloured by
    the mean distance and, where ``moves`` are vectors, an arrow for their mean
    and an ellipse of two standard deviations, both magnified as the title says.

    Args:
        moves: ``(N, K, 2)`` target minus annotation, or their lengths ``(N, K)``;
            NaN where a landmark is not visible.
        path: The PNG file; written whole or not at all.
        unit: What ``moves`` is measured in, for the labels.
        mean_shape: ``(K, 2)`` in the same unit, y downwards.

    Raises:
        ValueError: For other shapes, or without any finite move.
    """
    moves = np.asarray(moves, np.float64)
    if moves.ndim not in (2, 3) or moves.shape[2:] not in ((), (2,)):
        raise ValueError(f"moves has shape {moves.shape}; expected (N, K, 2) or (N, K)")
    num_keypoints = moves.shape[1]
    distances = np.linalg.norm(moves, axis=-1) if moves.ndim == 3 else np.abs(moves)
    if mean_shape is None:
        _check_finite(moves, distances)
        figure, (bars,) = new_figure(8, 5)
    else:
        mean_shape = np.asarray(mean_shape, np.float64)
        if mean_shape.shape != (num_keypoints, 2):
            raise ValueError(
                f"mean_shape has shape {mean_shape.shape}; expected "
                f"({num_keypoints}, 2), as many landmarks as moves"
            )
        _check_finite(moves, distances)
        figure, (bars, face) = new_figure(13, 5, panels=2)
        zoom = _draw_spread(face, moves, mean_shape) if moves.ndim == 3 else None
        _draw_means(figure, face, distances, mean_shape, unit, zoom)
    _draw_bars(bars, distances, unit)
    save_figure(figure, path)


def _check_finite(moves: np.ndarray, distances: np.ndarray) -> None:
    if not np.isfinite(distances).any():
        raise ValueError(f"moves {moves.shape} holds no finite move to plot")


def _draw_bars(axes: Axes, distances: np.ndarray, unit: str) -> None:
    """Draw the median and 90th percentile of ``(N, K)`` distances, NaN left out."""
    from matplotlib.patches import Patch

    landmarks = np.arange(distances.shape[1])
    colours = np.full(len(landmarks), "tab:gray", dtype=object)
    groups = landmark_groups(len(landmarks))
    shown = {name: c for name, c in REGION_COLOURS.items() if name in groups}
    for name, colour in shown.items():
        colours[groups[name]] = colour
    columns = [column[np.isfinite(column)] for column in distances.T]
    for percent, alpha in ((90, 0.35), (50, 1.0)):
        heights = [np.percentile(c, percent) if len(c) else 0 for c in columns]
        axes.bar(landmarks, heights, color=list(colours), alpha=alpha)
    axes.set_xlabel("landmark, counted from 0")
    axes.set_ylabel(f"distance, {unit}")
    axes.set_title(
        f"How far targets lie from annotations, {len(distances)} samples", fontsize=11
    )
    axes.margins(x=0.01)
    handles = [Patch(color=colour, label=name) for name, colour in shown.items()]
    handles += [
        Patch(color="0.3", label="median"),
        Patch(color="0.3", alpha=0.35, label="90th percentile"),
    ]
    axes.legend(handles=handles, fontsize=8)


def _draw_spread(axes: Axes, moves: np.ndarray, mean_shape: np.ndarray) -> int:
    """Draw the means and covariances of moves ``(N, K, 2)``; return their zoom."""
    from matplotlib.patches import Ellipse

    finite = np.isfinite(moves).all(-1)
    spreads = {}
    for k in np.flatnonzero(finite.sum(axis=0) > 1):
        values, vectors = np.linalg.eigh(np.cov(moves[finite[:, k], k].T))
        spreads[k] = (4 * np.sqrt(np.maximum(values, 0)), vectors)
    zoom = _zoom(mean_shape, [sides for sides, _ in spreads.values()])
    for k, (sides, vectors) in spreads.items():
        angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
        axes.add_patch(
            Ellipse(mean_shape[k], *(zoom * sides), angle=angle, color="0.82")
        )
    seen = np.flatnonzero(finite.any(axis=0))
    drift = [moves[finite[:, k], k].mean(axis=0) for k in seen]
    axes.quiver(
        *mean_shape[seen].T,
        *np.transpose(drift),
        angles="xy",
        scale_units="xy",
        scale=1 / zoom,
        width=0.003,
        color="0.25",
        zorder=3,
    )
    return zoom


def _zoom(mean_shape: np.ndarray, sides: list[np.ndarray]) -> int:
    """Return the whole number that shows the widest ellipse as an 8th of the face."""
    widest = max((float(side.max()) for side in sides), default=0.0)
    extent = float(longest_side(mean_shape))
    return max(1, round(extent / 8 / widest)) if widest > 0 else 1


def _draw_means(
    figure: Figure,
    axes: Axes,
    distances: np.ndarray,
    mean_shape: np.ndarray,
    unit: str,
    zoom: int | None,
) -> None:
    """Draw the mean of ``(N, K)`` distances as dots on a face."""
    finite = np.isfinite(distances)
    seen = finite.any(axis=0)
    means = np.array([distances[finite[:, k], k].mean() for k in np.flatnonzero(seen)])
    largest = max(means.max(), np.finfo(float).tiny)
    x, y = mean_shape[seen].T
    dots = axes.scatter(
        x,
        y,
        s=5 + 25 * means / largest,
        c=means,
        cmap="viridis_r",
        vmin=0,
        vmax=largest,
        zorder=2,
    )
    x, y = mean_shape[~seen].T
    axes.scatter(x, y, s=10, marker="x", color="0.6")
    figure.colorbar(dots, ax=axes, label=f"mean distance, {unit}", shrink=0.8)
    axes.set_aspect("equal", adjustable="datalim")
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.set_yticks([])
    title = "Mean distance of each landmark"
    if zoom is not None:
        title += f";\narrow: mean move, ellipse: 2 s.d., both x {zoom}"
    axes.set_title(title, fontsize=11)
