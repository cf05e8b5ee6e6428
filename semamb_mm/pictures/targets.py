"""Pictures of latent targets on faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from semamb_mm.faces.sizes import longest_side

from .contact_sheets import contact_sheet
from .legends import dot, legend, line, ring

# BGR
COLOURS = dict(
    annotation=(60, 60, 235),
    latent=(70, 200, 70),
    prediction=(235, 150, 30),
    truth=(240, 240, 240),
)
MOVE_COLOUR = (0, 220, 255)
# What a legend calls them; the line is drawn wherever there are latent targets.
_LABELS = dict(
    annotation="annotation",
    latent="latent target",
    move="from annotation to target",
    prediction="prediction",
    truth="truth",
)
# Radii and widths of what is drawn, shares of the picture's side.
_DOT, _RING, _LINE, _EDGE = 3.4 / 480, 6.4 / 480, 2 / 480, 0.7 / 480
_SHIFT = 4  # OpenCV draws in 1/16 pixel
_SUPERSAMPLING = 3

# A landmark's place on the canvas in OpenCV's fixed point; None if it is not drawn.
_Place = tuple[int, int] | None


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
    """Draw a face with its annotation, latent targets and prediction.

    A line joins each annotation to its latent target; the truth is a ring.
    :func:`targets_sheet` adds a legend. Landmarks that are not finite or far outside
    the picture are not drawn.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        annotation: ``(K, 2)`` image pixels.
        latent: ``(K, 2)`` image pixels.
        prediction: ``(K, 2)`` image pixels.
        truth: ``(K, 2)`` image pixels, where it is known.
        size: Side of the square result, pixels.
        margin: Space around the annotated face, share of its size.

    Returns:
        ``(size, size, 3)`` uint8, BGR.

    Raises:
        ValueError: For an image or points of another shape, or an annotation
            without two distinct finite landmarks.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise ValueError(
            f"image has shape {image.shape} and type {image.dtype}; expected "
            "(H, W, 3) uint8"
        )
    given = dict(
        truth=truth, prediction=prediction, annotation=annotation, latent=latent
    )
    points = _checked(given)
    zoom, offset = _framing(points["annotation"], size, margin)
    canvas = cv2.warpAffine(
        image,
        np.array([[zoom, 0, offset[0]], [0, zoom, offset[1]]]),
        (size * _SUPERSAMPLING,) * 2,
        flags=cv2.INTER_CUBIC,
        borderMode=cv2.BORDER_REPLICATE,
    )
    places = {
        name: _places(value * zoom + offset, len(canvas))
        for name, value in points.items()
    }
    _draw_points(canvas, places)
    return cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)


def targets_sheet(
    faces: Sequence[np.ndarray],
    layers: Sequence[str],
    columns: int,
    titles: Sequence[str] = (),
) -> np.ndarray:
    """Arrange pictures of :func:`draw_targets` in a grid, below one legend.

    Args:
        faces: ``(size, size, 3)`` uint8, BGR.
        layers: What is drawn on any of them: ``annotation``, ``latent``,
            ``prediction``, ``truth``.
        columns: Pictures in a row.
        titles: One for each picture, or none.

    Returns:
        ``(H, W, 3)`` uint8, BGR.

    Raises:
        ValueError: As :func:`~semamb_mm.pictures.contact_sheets.contact_sheet`.
    """
    sheet = contact_sheet(faces, columns, titles)
    return np.vstack([_legend(layers, sheet.shape[1]), sheet])


def _checked(points: Mapping[str, np.ndarray | None]) -> dict[str, np.ndarray]:
    """Return those points that are given, as float64."""
    given = {
        name: np.asarray(value, np.float64)
        for name, value in points.items()
        if value is not None
    }
    for name, value in given.items():
        if value.ndim != 2 or value.shape != given["annotation"].shape[:1] + (2,):
            raise ValueError(
                f"{name} has shape {value.shape}; expected (K, 2) as annotation's "
                f"{given['annotation'].shape}"
            )
    return given


def _framing(
    annotation: np.ndarray, size: int, margin: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return the zoom ``()`` and the offset ``(2,)`` from image to canvas pixels."""
    finite = annotation[np.isfinite(annotation).all(axis=1)]
    if len(finite) == 0 or (extent := longest_side(finite)) == 0:
        raise ValueError("annotation has no two distinct finite landmarks to show")
    side = extent * (1 + 2 * margin)
    corner = (finite.min(axis=0) + finite.max(axis=0)) / 2 - side / 2
    zoom = size / side * _SUPERSAMPLING
    # Pixel centres are whole numbers, on the fine canvas too.
    return zoom, (_SUPERSAMPLING - 1) / 2 - corner * zoom


def _places(points: np.ndarray, side: int) -> list[_Place]:
    near = np.abs(points - side / 2).max(axis=1) < side  # not NaN
    return [
        (round(x * 2**_SHIFT), round(y * 2**_SHIFT)) if ok else None
        for (x, y), ok in zip(points.tolist(), near)
    ]


def _draw_points(canvas: np.ndarray, places: Mapping[str, Sequence[_Place]]) -> None:
    """Draw rings, lines and dots, in place; the latent targets are on top."""
    side = len(canvas)
    for centre in filter(None, places.get("truth", ())):
        _draw_circle(canvas, centre, _RING * side, (30, 30, 30), 3 * _EDGE * side)
        _draw_circle(canvas, centre, _RING * side, COLOURS["truth"], 2 * _EDGE * side)
    width = max(1, round(_LINE * side))
    for start, end in zip(places["annotation"], places["latent"]):
        if start and end:
            cv2.line(canvas, start, end, MOVE_COLOUR, width, cv2.LINE_AA, _SHIFT)
    for name in ("prediction", "annotation", "latent"):
        for centre in filter(None, places.get(name, ())):
            _draw_circle(canvas, centre, (_DOT + _EDGE) * side, (30, 30, 30))
            _draw_circle(canvas, centre, _DOT * side, COLOURS[name])


def _draw_circle(
    canvas: np.ndarray,
    centre: tuple[int, int],
    radius: float,
    colour: tuple[int, int, int],
    thickness: float = -1,
) -> None:
    """Draw a circle, filled if the thickness is negative; lengths of the canvas."""
    width = -1 if thickness < 0 else max(1, round(thickness))
    fine = round(radius * 2**_SHIFT)
    cv2.circle(canvas, centre, fine, colour, width, cv2.LINE_AA, _SHIFT)


def _legend(layers: Sequence[str], width: int) -> np.ndarray:
    """Return a strip ``(H, width, 3)`` that names what is drawn."""
    shown = {*layers, "move"} if "latent" in layers else {*layers}
    marks = dict(move=line, truth=ring)
    colours = dict(COLOURS, move=MOVE_COLOUR)
    return legend(
        [
            marks.get(name, dot)(label, colours[name])
            for name, label in _LABELS.items()
            if name in shown
        ],
        width,
    )
