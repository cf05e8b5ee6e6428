"""Plots of how far targets moved, landmark by landmark."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import longest_side

from .figures import drawn_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes

REGION_COLOURS = dict(
    contour="#d55e00", brows="#e69f00", nose="#009e73", eyes="#0072b2", mouth="#cc79a7"
)
_SHOWN = 8  # of the face: how long the longest ellipse or arrow is drawn
_CLEAR = 3  # standard errors from 0, from which on a mean move has an arrow
_NUMBERED = 100  # landmarks at most that have their numbers beside them


def plot_moves(
    moves: np.ndarray,
    path: str | os.PathLike,
    unit: str,
    mean_shape: np.ndarray | None = None,
) -> None:
    """Plot how far targets moved, landmark by landmark, as a file.

    Left, median and 90th percentile of each landmark's distance, coloured by
    region. Right, with ``mean_shape``, the mean face, its landmarks numbered: dots
    sized and coloured by the mean distance and, where ``moves`` are vectors, an
    ellipse of two standard deviations and, where the mean move is beyond three
    standard errors, an arrow for it. The title says how each is magnified.

    Args:
        moves: ``(N, K, 2)`` target minus annotation, or their lengths ``(N, K)``;
            NaN where a landmark is not visible.
        path: The file, .png, .pdf or .svg; written whole or not at all.
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
    if mean_shape is not None:
        mean_shape = np.asarray(mean_shape, np.float64)
        if mean_shape.shape != (num_keypoints, 2):
            raise ValueError(
                f"mean_shape has shape {mean_shape.shape}; expected "
                f"({num_keypoints}, 2), as many landmarks as moves"
            )
    _check_finite(moves, distances)
    if mean_shape is None:
        with drawn_figure(path, 7, 4.2) as (bars,):
            _draw_bars(bars, distances, unit)
        return
    with drawn_figure(path, 11, 5, 2, (0.8, 1)) as (bars, face):
        _draw_bars(bars, distances, unit)
        title = "Mean distance of each landmark"
        if moves.ndim == 3:
            title += f"\n{_draw_spread(face, moves, mean_shape)}"
        face.set_title(title)
        _draw_means(face, distances, mean_shape, unit)


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
    axes.set_title(f"Distance from the annotations, {len(distances)} samples")
    axes.grid(visible=False, axis="x")
    axes.margins(x=0.01)
    handles = [Patch(color=colour, label=name) for name, colour in shown.items()]
    handles += [
        Patch(color="0.3", label="median"),
        Patch(color="0.3", alpha=0.35, label="90th percentile"),
    ]
    axes.legend(handles=handles, loc="upper right")


def _draw_spread(axes: Axes, moves: np.ndarray, mean_shape: np.ndarray) -> str:
    """Draw means and covariances of moves ``(N, K, 2)``; return what is drawn."""
    from matplotlib.patches import Ellipse

    finite = np.isfinite(moves).all(-1)
    counts = finite.sum(axis=0)
    spreads = {}
    for k in np.flatnonzero(counts > 1):
        values, vectors = np.linalg.eigh(np.cov(moves[finite[:, k], k].T))
        spreads[k] = (np.sqrt(np.maximum(values, 0)), vectors)
    shown = float(longest_side(mean_shape)) / _SHOWN
    zoom = magnification(
        4 * max((s.max() for s, _ in spreads.values()), default=0), shown
    )
    for k, (deviations, vectors) in spreads.items():
        angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
        axes.add_patch(
            Ellipse(mean_shape[k], *(zoom * 4 * deviations), angle=angle, color="0.85")
        )
    title = f"ellipse: 2 s.d. of the moves, {_scale(zoom)}" if spreads else ""
    drift = {k: moves[finite[:, k], k].mean(axis=0) for k in spreads}
    clear = [
        k
        for k, (deviations, _) in spreads.items()
        if np.linalg.norm(drift[k])
        > _CLEAR * np.sqrt((deviations**2).sum() / counts[k])
    ]
    if not clear:
        return f"{title}\nno mean move is beyond {_CLEAR} standard errors"
    arrows = np.array([drift[k] for k in clear])
    zoom = magnification(float(np.linalg.norm(arrows, axis=1).max()), shown)
    axes.quiver(
        *mean_shape[clear].T,
        *arrows.T,
        angles="xy",
        scale_units="xy",
        scale=1 / zoom,
        width=0.005,
        color="#d55e00",
        zorder=4,
    )
    return f"{title}\narrow: mean move beyond {_CLEAR} standard errors, {_scale(zoom)}"


def magnification(largest: float, shown: float) -> int:
    """Return a round number, times which ``largest`` is about ``shown`` long.

    It is 1, 2, 5, 10, 20, ..., and 1 where nothing needs to be magnified.
    """
    wanted = shown / largest if largest > 0 else 1.0
    if wanted <= 1:
        return 1
    power = 10 ** int(np.log10(wanted))
    return power * max(step for step in (1, 2, 5) if step * power <= wanted)


def _scale(zoom: int) -> str:
    return "true to scale" if zoom == 1 else f"magnified {zoom} times"


def _draw_means(
    axes: Axes, distances: np.ndarray, mean_shape: np.ndarray, unit: str
) -> None:
    """Draw the mean of ``(N, K)`` distances as dots on a face, with their numbers."""
    finite = np.isfinite(distances)
    seen = finite.any(axis=0)
    means = np.array([distances[finite[:, k], k].mean() for k in np.flatnonzero(seen)])
    largest = max(means.max(), np.finfo(float).tiny)
    x, y = mean_shape[seen].T
    dots = axes.scatter(
        x,
        y,
        s=8 + 25 * means / largest,
        c=means,
        cmap="viridis_r",
        vmin=0,
        vmax=largest,
        zorder=3,
    )
    x, y = mean_shape[~seen].T
    axes.scatter(x, y, s=10, marker="x", color="0.6")
    axes.figure.colorbar(dots, ax=axes, label=f"mean distance, {unit}", shrink=0.8)
    if len(mean_shape) <= _NUMBERED:
        _draw_numbers(axes, mean_shape)
    axes.set_aspect("equal", adjustable="datalim")
    axes.invert_yaxis()
    axes.set_axis_off()


def _draw_numbers(axes: Axes, mean_shape: np.ndarray) -> None:
    """Write each landmark's number beside it, away from its neighbours."""
    for k in np.flatnonzero(np.isfinite(mean_shape).all(axis=1)):
        right, down = _outward(mean_shape, k)
        number = axes.annotate(
            str(k),
            mean_shape[k],
            (7 * right, -7 * down),
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=6,
            color="0.35",
            zorder=5,
        )
        number.set_in_layout(False)  # it takes long, and the dots are there anyway


def _outward(shape: np.ndarray, k: int) -> np.ndarray:
    """Return a unit vector ``(2,)`` across the line through a landmark's neighbours.

    It points away from them; from the middle of all landmarks if the three lie in a
    row; to the right if that is in the row, too.
    """
    if len(shape) < 3:
        return np.array([1.0, 0.0])
    gaps = np.linalg.norm(shape - shape[k], axis=1)
    one, other = shape[np.argsort(gaps)[1:3]]
    x, y = other - one
    across = np.array([-y, x]) / max(float(np.hypot(x, y)), 1e-12)
    sides = (
        across @ (shape[k] - (one + other) / 2) / max(gaps.max(), 1e-12),
        across @ (shape[k] - np.nanmean(shape, axis=0)) / max(gaps.max(), 1e-12),
        across[0],
    )
    side = next((side for side in sides if abs(side) > 0.01), 1.0)
    return across * np.sign(side)
