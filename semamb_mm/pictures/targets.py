"""Pictures of latent targets: on faces, and landmark by landmark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import longest_side

# BGR
COLOURS = dict(
    annotation=(60, 60, 235),
    latent=(70, 200, 70),
    prediction=(235, 150, 30),
    truth=(240, 240, 240),
)
MOVE_COLOUR = (0, 220, 255)
REGION_COLOURS = dict(
    contour="tab:red",
    brows="tab:orange",
    nose="tab:green",
    eyes="tab:blue",
    mouth="tab:purple",
)
_SHIFT = 4  # OpenCV draws in 1/16 pixel
_SUPERSAMPLING = 3
_TITLE_HEIGHT = 22


def draw_targets(
    image: np.ndarray,
    annotation: np.ndarray,
    latent: np.ndarray,
    prediction: np.ndarray | None = None,
    truth: np.ndarray | None = None,
    *,
    size: int = 480,
    margin: float = 0.15,
) -> np.ndarray:
    """A face with its annotation, latent targets and prediction.

    A line joins each annotation to its latent target; the truth is a ring.
    Landmarks that are not finite or far outside the picture are not drawn.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        annotation: ``(K, 2)`` image pixels.
        latent: ``(K, 2)`` image pixels.
        prediction: ``(K, 2)`` image pixels.
        truth: ``(K, 2)`` image pixels, where it is known.
        size: Side of the square result, pixels.
        margin: Space around the annotated face, share of its size.

    Returns:
        ``(size, size, 3)`` uint8, BGR, with a legend.

    Raises:
        ValueError: For an image or points of another shape, or an annotation
            without two distinct finite landmarks.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image has shape {image.shape} and type {image.dtype}; expected "
            "(H, W, 3) uint8"
        )
    points = dict(
        truth=truth, prediction=prediction, annotation=annotation, latent=latent
    )
    points = {
        name: np.asarray(value, np.float64)
        for name, value in points.items()
        if value is not None
    }
    for name, value in points.items():
        if value.ndim != 2 or value.shape != points["annotation"].shape[:1] + (2,):
            raise ValueError(
                f"{name} has shape {value.shape}; expected (K, 2) as annotation's "
                f"{points['annotation'].shape}"
            )
    finite = points["annotation"][np.isfinite(points["annotation"]).all(axis=1)]
    if len(finite) == 0 or (extent := longest_side(finite)) == 0:
        raise ValueError("annotation has no two distinct finite landmarks to show")

    side = extent * (1 + 2 * margin)
    corner = (finite.min(axis=0) + finite.max(axis=0)) / 2 - side / 2
    zoom = size / side * _SUPERSAMPLING
    # Pixel centres are whole numbers, on the fine canvas too.
    offset = (_SUPERSAMPLING - 1) / 2 - corner * zoom
    canvas = cv2.warpAffine(
        image,
        np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]]]),
        (size * _SUPERSAMPLING,) * 2,
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    placed = {}
    for name, value in points.items():
        place = value * zoom + offset
        near = np.abs(place - len(canvas) / 2).max(axis=1) < len(canvas)  # not NaN
        placed[name] = [
            tuple(round(c * 2**_SHIFT) for c in xy) if ok else None
            for xy, ok in zip(place.tolist(), near)
        ]

    def circle(centre, radius: float, colour, thickness: float = -1) -> None:
        fine = _SUPERSAMPLING * 2**_SHIFT
        width = -1 if thickness < 0 else round(thickness * _SUPERSAMPLING)
        cv2.circle(
            canvas, centre, round(radius * fine), colour, width, cv2.LINE_AA, _SHIFT
        )

    for centre in filter(None, placed.get("truth", ())):
        circle(centre, 4.2, COLOURS["truth"], 0.7)
    for start, end in zip(placed["annotation"], placed["latent"]):
        if start and end:
            cv2.line(
                canvas, start, end, MOVE_COLOUR, _SUPERSAMPLING, cv2.LINE_AA, _SHIFT
            )
    for name in ("prediction", "annotation", "latent"):
        for centre in filter(None, placed.get(name, ())):
            circle(centre, 2.4, (30, 30, 30))
            circle(centre, 2, COLOURS[name])
    canvas = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    _draw_legend(canvas, list(points))
    return canvas


def _draw_legend(canvas: np.ndarray, names: Sequence[str]) -> None:
    """Names and colours on a dark plate in the top left corner, in place."""
    labels = {name: name for name in names} | dict(latent="latent target")
    text = dict(fontFace=cv2.FONT_HERSHEY_SIMPLEX, fontScale=0.4, thickness=1)
    width = max(cv2.getTextSize(label, **text)[0][0] for label in labels.values())
    plate = canvas[: 16 * len(labels) + 6, : width + 26]
    plate[:] = plate // 3
    for i, (name, label) in enumerate(labels.items()):
        y = 11 + 16 * i
        outline = 1 if name == "truth" else -1
        cv2.circle(canvas, (10, y), 4, COLOURS[name], outline, cv2.LINE_AA)
        cv2.putText(
            canvas, label, (20, y + 4), color=(255,) * 3, lineType=cv2.LINE_AA, **text
        )


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, titles: Sequence[str] = ()
) -> np.ndarray:
    """Pictures of equal size in a grid, a title under each.

    Args:
        images: ``(H, W, 3)`` uint8, BGR.
        columns: Pictures in a row.
        titles: One for each picture, or none; one too long is cut in its middle.

    Raises:
        ValueError: Without pictures, if their sizes differ, or if the numbers of
            columns or titles do not fit.
    """
    if not images or any(image.shape != images[0].shape for image in images):
        raise ValueError("contact_sheet needs pictures, all of the same size")
    if columns < 1 or len(titles) not in (0, len(images)):
        raise ValueError(
            f"contact_sheet of {len(images)} pictures: got {columns} columns and "
            f"{len(titles)} titles; expected at least 1, and as many titles or none"
        )
    height, width = images[0].shape[:2]
    strip = _TITLE_HEIGHT if len(titles) else 0
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + strip), columns * width, 3), 255, np.uint8)
    text = dict(fontFace=cv2.FONT_HERSHEY_SIMPLEX, fontScale=0.4, thickness=1)
    for i, image in enumerate(images):
        top, left = i // columns * (height + strip), i % columns * width
        sheet[top : top + height, left : left + width] = image
        if strip:
            cv2.putText(
                sheet,
                _fit(titles[i], width - 12, text),
                (left + 6, top + height + 15),
                color=(30, 30, 30),
                lineType=cv2.LINE_AA,
                **text,
            )
    return sheet


def _fit(title: str, width: int, text: dict) -> str:
    """The title, or as much of its ends as is not wider than ``width`` pixels."""
    fitted, kept = title, len(title)
    while kept > 0 and cv2.getTextSize(fitted, **text)[0][0] > width:
        kept -= 1
        fitted = f"{title[: kept // 2]}...{title[len(title) - (kept - kept // 2) :]}"
    return fitted if kept or not title else ""


def plot_moves(
    moves: np.ndarray,
    path: str | os.PathLike,
    unit: str,
    mean_shape: np.ndarray | None = None,
) -> None:
    """How far targets moved, landmark by landmark, as a PNG file.

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
    # Not at the top: training needs no matplotlib.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    moves = np.asarray(moves, np.float64)
    if moves.ndim not in (2, 3) or moves.shape[2:] not in ((), (2,)):
        raise ValueError(f"moves has shape {moves.shape}; expected (N, K, 2) or (N, K)")
    num_keypoints = moves.shape[1]
    if mean_shape is not None:
        mean_shape = np.asarray(mean_shape, np.float64)
        if mean_shape.shape != (num_keypoints, 2):
            raise ValueError(
                f"mean_shape has shape {mean_shape.shape}; expected "
                f"({num_keypoints}, 2), as many landmarks as moves"
            )
    distances = np.linalg.norm(moves, axis=-1) if moves.ndim == 3 else np.abs(moves)
    finite = np.isfinite(distances)
    if not finite.any():
        raise ValueError(f"moves {moves.shape} holds no finite move to plot")

    figure = Figure(
        figsize=(13, 5) if mean_shape is not None else (8, 5), layout="constrained"
    )
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 1 if mean_shape is None else 2, squeeze=False)[0]
    _draw_bars(panels[0], distances, unit)
    if mean_shape is not None:
        _draw_mean_face(figure, panels[1], moves, distances, mean_shape, unit)

    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        figure.savefig(unfinished, format="png", dpi=110)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _draw_bars(axes, distances: np.ndarray, unit: str) -> None:
    """Median and 90th percentile of ``(N, K)`` distances, NaN left out."""
    from matplotlib.patches import Patch

    landmarks = np.arange(distances.shape[1])
    colours = np.full(len(landmarks), "tab:gray", dtype=object)
    groups = landmark_groups(len(landmarks))
    shown = {name: c for name, c in REGION_COLOURS.items() if name in groups}
    for name, colour in shown.items():
        colours[groups[name]] = colour
    columns = [column[np.isfinite(column)] for column in distances.T]
    for percent, alpha in ((90, 0.35), (50, 1)):
        heights = [np.percentile(c, percent) if len(c) else 0 for c in columns]
        axes.bar(landmarks, heights, color=list(colours), alpha=alpha)
    axes.set_xlabel("landmark, counted from 0")
    axes.set_ylabel(f"distance, {unit}")
    axes.set_title(
        f"How far targets lie from annotations, {len(distances)} faces", fontsize=11
    )
    axes.margins(x=0.01)
    handles = [Patch(color=colour, label=name) for name, colour in shown.items()]
    handles += [
        Patch(color="0.3", label="median"),
        Patch(color="0.3", alpha=0.35, label="90th percentile"),
    ]
    axes.legend(handles=handles, fontsize=8)


def _draw_mean_face(
    figure,
    axes,
    moves: np.ndarray,
    distances: np.ndarray,
    mean_shape: np.ndarray,
    unit: str,
) -> None:
    """Mean distances, and means and covariances of vector moves, on a face."""
    from matplotlib.patches import Ellipse

    finite = np.isfinite(distances)
    seen = finite.any(axis=0)
    means = np.array([distances[finite[:, k], k].mean() for k in np.flatnonzero(seen)])
    title = "Mean distance of each landmark"
    if moves.ndim == 3:
        # Of a whole number that shows the widest ellipse as an 8th of the face.
        spreads = {}
        for k in np.flatnonzero(finite.sum(axis=0) > 1):
            values, vectors = np.linalg.eigh(np.cov(moves[finite[:, k], k].T))
            spreads[k] = (4 * np.sqrt(np.maximum(values, 0)), vectors)
        widest = max((sides.max() for sides, _ in spreads.values()), default=0)
        extent = longest_side(mean_shape)
        zoom = max(1, round(extent / 8 / widest)) if widest > 0 else 1
        for k, (sides, vectors) in spreads.items():
            angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
            axes.add_patch(
                Ellipse(mean_shape[k], *(zoom * sides), angle=angle, color="0.82")
            )
        drift = [moves[finite[:, k], k].mean(axis=0) for k in np.flatnonzero(seen)]
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
        title += f";\narrow: mean move, ellipse: 2 s.d., both x {zoom}"
    largest = max(means.max(), np.finfo(float).tiny)
    dots = axes.scatter(
        *mean_shape[seen].T,
        s=5 + 25 * means / largest,
        c=means,
        cmap="viridis_r",
        vmin=0,
        vmax=largest,
        zorder=2,
    )
    axes.scatter(*mean_shape[~seen].T, s=10, marker="x", color="0.6")
    figure.colorbar(dots, ax=axes, label=f"mean distance, {unit}", shrink=0.8)
    axes.set_aspect("equal", adjustable="datalim")
    axes.invert_yaxis()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=11)
