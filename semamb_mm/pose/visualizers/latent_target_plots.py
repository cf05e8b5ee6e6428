"""Pictures of latent targets: on faces, and landmark by landmark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from ..landmark_groups import landmark_groups

# BGR
COLOURS = dict(
    annotation=(60, 60, 235),
    latent=(70, 200, 70),
    prediction=(235, 150, 30),
    truth=(240, 240, 240),
)
_SHIFT = 4  # OpenCV draws in 1/16 pixel


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

    A line joins each annotation to its latent target.

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
    """
    low, high = annotation.min(0), annotation.max(0)
    side = float((high - low).max()) * (1 + 2 * margin)
    corner = (low + high) / 2 - side / 2
    scale = size / max(side, 1e-6)
    matrix = np.float64([[scale, 0, -corner[0] * scale], [0, scale, -corner[1] * scale]])
    canvas = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_CUBIC)

    def place(points):
        moved = (np.asarray(points)[:, :2] - corner) * scale * 2**_SHIFT
        return np.round(moved).astype(int)

    def dots(points, colour, radius):
        for point in place(points):
            for r, c in ((radius + 0.8, (0, 0, 0)), (radius, colour)):
                cv2.circle(
                    canvas, tuple(map(int, point)), int(r * 2**_SHIFT), c, -1,
                    cv2.LINE_AA, _SHIFT,
                )  # fmt: skip

    for start, end in zip(place(annotation), place(latent)):
        cv2.line(
            canvas, tuple(map(int, start)), tuple(map(int, end)), (0, 220, 255), 1,
            cv2.LINE_AA, _SHIFT,
        )  # fmt: skip
    shown = dict(
        truth=truth, prediction=prediction, annotation=annotation, latent=latent
    )
    legend = 6
    for name, points in shown.items():
        if points is None:
            continue
        dots(points, COLOURS[name], 1.6 if name in ("truth", "prediction") else 2.4)
        legend += 16
        label = dict(latent="latent target").get(name, name)
        cv2.circle(canvas, (10, legend - 4), 4, COLOURS[name], -1, cv2.LINE_AA)
        for width, colour in ((3, (0, 0, 0)), (1, (255, 255, 255))):
            cv2.putText(
                canvas, label, (20, legend), cv2.FONT_HERSHEY_SIMPLEX, 0.42, colour,
                width, cv2.LINE_AA,
            )  # fmt: skip
    return canvas


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, titles: Sequence[str] = ()
) -> np.ndarray:
    """Pictures of equal size in a grid, a title under each.

    Args:
        images: ``(H, W, 3)`` uint8, BGR.
        columns: Pictures in a row.
        titles: One for each picture, or none.

    Raises:
        ValueError: Without pictures or if their sizes differ.
    """
    if not images or any(image.shape != images[0].shape for image in images):
        raise ValueError("contact_sheet needs pictures, all of the same size")
    height, width = images[0].shape[:2]
    strip = 22 if titles else 0
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + strip), columns * width, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + strip), i % columns * width
        sheet[top : top + height, left : left + width] = image
        if titles:
            cv2.putText(
                sheet, titles[i], (left + 6, top + height + 15),
                cv2.FONT_HERSHEY_SIMPLEX, 0.4, (30, 30, 30), 1, cv2.LINE_AA,
            )  # fmt: skip
    return sheet


def plot_moves(
    moves: np.ndarray,
    path: str | os.PathLike,
    unit: str,
    mean_shape: np.ndarray | None = None,
) -> None:
    """How far targets moved, landmark by landmark, as a PNG file.

    Left, median and 90th percentile of each landmark's move; right, with
    ``mean_shape``, the moves' mean and covariance on the mean face (ellipses
    of two standard deviations).

    Args:
        moves: ``(N, K, 2)`` target minus annotation.
        path: The PNG file; written whole or not at all.
        unit: What ``moves`` is measured in, for the labels.
        mean_shape: ``(K, 2)`` in the same unit, y downwards.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Ellipse

    moves = np.asarray(moves, dtype=np.float64)
    distance = np.linalg.norm(moves, axis=-1)
    landmarks = np.arange(moves.shape[1])
    colours = np.array(["tab:gray"] * len(landmarks), dtype=object)
    groups = landmark_groups(len(landmarks))
    palette = dict(
        contour="tab:red", brows="tab:orange", nose="tab:green", eyes="tab:blue",
        mouth="tab:purple",
    )  # fmt: skip
    for name, colour in palette.items():
        if name in groups:
            colours[groups[name]] = colour

    figure = Figure(figsize=(13, 4.8) if mean_shape is not None else (9, 4.8))
    FigureCanvasAgg(figure)
    bars = figure.add_subplot(1, 2 if mean_shape is not None else 1, 1)
    bars.bar(landmarks, np.percentile(distance, 90, axis=0), color=colours, alpha=0.35)
    bars.bar(landmarks, np.median(distance, axis=0), color=colours)
    bars.set_xlabel("landmark (300W order, from 0)")
    bars.set_ylabel(f"move, {unit}")
    bars.set_title("How far latent targets left the annotation: median, 90th percentile")
    for name, colour in palette.items():
        if name in groups:
            bars.bar(0, 0, color=colour, label=name)
    if "contour" in groups:
        bars.legend(fontsize=8)
    if mean_shape is not None:
        face = figure.add_subplot(1, 2, 2)
        for k in landmarks:
            covariance = np.cov(moves[:, k].T) if len(moves) > 1 else np.zeros((2, 2))
            values, vectors = np.linalg.eigh(covariance)
            width, height = 4 * np.sqrt(np.maximum(values, 0))
            angle = np.degrees(np.arctan2(vectors[1, 0], vectors[0, 0]))
            face.add_patch(
                Ellipse(
                    mean_shape[k], width, height, angle=angle, alpha=0.35,
                    color=colours[k],
                )  # fmt: skip
            )
        face.scatter(*mean_shape.T, s=6, c=list(colours))
        face.quiver(
            *mean_shape.T, *moves.mean(0).T, angles="xy", scale_units="xy", scale=1,
            width=0.004, color="black",
        )  # fmt: skip
        face.invert_yaxis()
        face.set_aspect("equal")
        face.set_xticks([])
        face.set_yticks([])
        face.set_title("Spread (2 s.d.) and mean of the moves on the mean face")
    figure.tight_layout()
    path = Path(path)
    temporary = path.with_name(f".unfinished-{path.name}")
    figure.savefig(temporary, format="png", dpi=110)
    os.replace(temporary, path)
