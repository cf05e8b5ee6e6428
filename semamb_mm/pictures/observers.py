"""Pictures of what several observers mark: conventions, noise, differences."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import cv2
import numpy as np

from semamb_mm.faces.sizes import longest_side

from .figures import drawn_figure
from .texts import draw_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (
    *("tab:blue", "tab:orange", "tab:green", "tab:purple", "tab:brown", "tab:pink"),
    *("tab:olive", "tab:cyan"),
)
NETWORK = "tab:red"
_SHIFT = 4  # OpenCV draws in 1/16 pixel
_SIDES = 8  # of the shape: how wide the widest ellipse is drawn


def colours_of(names: Sequence[str], network: bool) -> list[str]:
    """Return a colour for each observer; the network, the last one, has its own."""
    colours = [COLOURS[i % len(COLOURS)] for i in range(len(names))]
    return [*colours[:-1], NETWORK] if network else colours


def plot_observers(
    path: str | os.PathLike,
    names: Sequence[str],
    offsets: np.ndarray,
    covariances: np.ndarray,
    mean_shape: np.ndarray,
    unit: str,
    network: bool = False,
) -> None:
    """Plot each observer's conventions and noise as a PNG file.

    Left, on the mean shape, an arrow from each landmark to where an observer puts it on
    average, and around its end an ellipse of two standard deviations; all magnified as
    the title says. Right, each observer's noise of each landmark.

    Args:
        path: The file, .png, .pdf or .svg; written whole or not at all.
        names: Of the ``M`` observers.
        offsets: ``(M, K, 2)`` x, y.
        covariances: ``(M, K, 2, 2)`` of x and y.
        mean_shape: ``(K, 2)``, y downwards. All in one unit.
        unit: For the labels.
        network: Whether the last observer is one.
    """
    colours = colours_of(names, network)
    shape = np.asarray(mean_shape, np.float64)
    deviations = np.sqrt(np.maximum(np.linalg.eigvalsh(covariances), 0))
    widest = max(4 * float(deviations.max()), float(np.abs(offsets).max()), 1e-12)
    zoom = max(1, round(float(longest_side(shape)) / _SIDES / widest))
    with drawn_figure(path, 11, 5, panels=2) as (faces, bars):
        for m, colour in enumerate(colours):
            _draw_observer(faces, shape, zoom, offsets[m], covariances[m], colour)
        faces.scatter(*shape.T, s=6, color="0.3", zorder=4)
        faces.set_aspect("equal", adjustable="datalim")
        faces.invert_yaxis()
        faces.set(xticks=[], yticks=[])
        faces.set_title(
            f"Arrow: mean offset; ellipse: 2 s.d. of the noise; both x {zoom}"
        )
        noise = np.sqrt(np.trace(covariances, axis1=-2, axis2=-1).clip(0))
        width = 0.8 / len(names)
        for m, (name, colour) in enumerate(zip(names, colours)):
            places = np.arange(noise.shape[1]) + (m - (len(names) - 1) / 2) * width
            bars.bar(places, noise[m], width, color=colour, label=name)
        bars.set_xlabel("landmark, counted from 0")
        bars.set_ylabel(f"RMS, {unit}")
        bars.set_title("A mark's distance from its observer's convention")
        bars.xaxis.get_major_locator().set_params(integer=True)
        bars.margins(x=0.01)
        bars.legend()


def _draw_observer(
    axes: Axes,
    shape: np.ndarray,
    zoom: int,
    offsets: np.ndarray,
    covariances: np.ndarray,
    colour: str,
) -> None:
    """Draw one observer's arrows and ellipses."""
    from matplotlib.patches import Ellipse

    ends = shape + zoom * offsets
    for end, covariance in zip(ends, covariances):
        values, vectors = np.linalg.eigh(covariance)
        width, height = 4 * zoom * np.sqrt(np.maximum(values, 0))
        angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
        axes.add_patch(
            Ellipse(end, width, height, angle=angle, fill=False, color=colour)
        )
    axes.quiver(
        *shape.T,
        *offsets.T,
        angles="xy",
        scale_units="xy",
        scale=1 / zoom,
        width=0.003,
        color=colour,
        zorder=3,
    )


def plot_bland_altman(
    path: str | os.PathLike,
    names: tuple[str, str],
    first: np.ndarray,
    second: np.ndarray,
    unit: str,
) -> None:
    """Plot two observers' differences against their means (Bland and Altman 1986).

    One panel for x, one for y. Lines: the mean difference, and 1.96 standard deviations
    to either side of it.

    Args:
        path: The file, .png, .pdf or .svg; written whole or not at all.
        names: Of the two.
        first: ``(N, K, 2)``, from each sample's centre; NaN where missing.
        second: The same landmarks.
        unit: For the labels.
    """
    with drawn_figure(path, 10, 3.8, panels=2) as panels:
        for axis, panel in enumerate(panels):
            one, other = first[..., axis].ravel(), second[..., axis].ravel()
            shown = np.isfinite(one) & np.isfinite(other)
            difference = (one - other)[shown]
            mean = ((one + other) / 2)[shown]
            panel.scatter(mean, difference, s=6, alpha=0.4, linewidths=0)
            bias, deviation = difference.mean(), difference.std(ddof=1)
            for level, style in ((-1.96, "--"), (0, "-"), (1.96, "--")):
                height = bias + level * deviation
                panel.axhline(height, color="0.2", linestyle=style, linewidth=1)
                panel.annotate(
                    f"{height:.2f}", (1, height), xycoords=("axes fraction", "data")
                )
            panel.set_xlabel(f"mean {'xy'[axis]}, {unit}")
            panel.set_ylabel(f"{names[0]} - {names[1]}, {unit}")
            panel.set_title(f"{'xy'[axis]}: mean and 1.96 s.d.")


def draw_opinions(
    image: np.ndarray,
    points: np.ndarray,
    colours: Sequence[str],
    ringed: tuple[int, int] | None = None,
    size: int = 420,
    margin: float = 0.1,
) -> np.ndarray:
    """Draw what observers marked in one picture, cut out around it.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        points: ``(M, K, 2)`` image pixels; NaN where missing.
        colours: One an observer.
        ringed: Observer and landmark to draw a ring around.
        size: Side of the square result, pixels.
        margin: Space around the marks, share of their extent.

    Returns:
        ``(size, size, 3)`` uint8, BGR.
    """
    from matplotlib.colors import to_rgb

    seen = points[np.isfinite(points).all(-1)]
    side = max(float(np.ptp(seen, axis=0).max()), 1.0) * (1 + 2 * margin)
    corner = (seen.min(0) + seen.max(0)) / 2 - side / 2
    zoom = size / side
    turn = np.array([[zoom, 0, -zoom * corner[0]], [0, zoom, -zoom * corner[1]]])
    canvas = cv2.warpAffine(image, turn, (size, size), borderMode=cv2.BORDER_REPLICATE)
    for m, k in np.ndindex(points.shape[:2]):
        if not np.isfinite(points[m, k]).all():
            continue
        place = np.rint((points[m, k] - corner) * zoom * 2**_SHIFT).astype(int).tolist()
        colour = tuple(round(255 * part) for part in to_rgb(colours[m])[::-1])
        cv2.circle(canvas, place, 3 << _SHIFT, colour, -1, cv2.LINE_AA, _SHIFT)
        if ringed == (m, k):
            white = (255, 255, 255)
            cv2.circle(canvas, place, 9 << _SHIFT, white, 1, cv2.LINE_AA, _SHIFT)
            corner_of_text = (place[0] >> _SHIFT) + 11, place[1] >> _SHIFT
            draw_text(canvas, str(k), corner_of_text, white)
    return canvas
