"""Pictures of latent targets on faces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from semamb_mm.faces.sizes import longest_side

from .texts import draw_text, text_width

# BGR
COLOURS = dict(
    annotation=(60, 60, 235),
    latent=(70, 200, 70),
    prediction=(235, 150, 30),
    truth=(240, 240, 240),
)
MOVE_COLOUR = (0, 220, 255)
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
    picture = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    _draw_legend(picture, list(points))
    return picture


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
    for centre in filter(None, places.get("truth", ())):
        _draw_circle(canvas, centre, 4.2, COLOURS["truth"], 0.7)
    for start, end in zip(places["annotation"], places["latent"]):
        if start and end:
            cv2.line(
                canvas, start, end, MOVE_COLOUR, _SUPERSAMPLING, cv2.LINE_AA, _SHIFT
            )
    for name in ("prediction", "annotation", "latent"):
        for centre in filter(None, places.get(name, ())):
            _draw_circle(canvas, centre, 2.4, (30, 30, 30))
            _draw_circle(canvas, centre, 2, COLOURS[name])


def _draw_circle(
    canvas: np.ndarray,
    centre: tuple[int, int],
    radius: float,
    colour: tuple[int, int, int],
    thickness: float = -1,
) -> None:
    """Draw a circle, filled if the thickness is negative; lengths in the result."""
    fine = round(radius * _SUPERSAMPLING * 2**_SHIFT)
    width = -1 if thickness < 0 else round(thickness * _SUPERSAMPLING)
    cv2.circle(canvas, centre, fine, colour, width, cv2.LINE_AA, _SHIFT)


def _draw_legend(canvas: np.ndarray, names: Sequence[str]) -> None:
    """Draw names and colours on a dark plate in the top left corner, in place."""
    labels = {name: name for name in names} | dict(latent="latent target")
    width = max(map(text_width, labels.values()))
    plate = canvas[: 16 * len(labels) + 6, : width + 26]
    plate[:] = plate // 3
    for i, (name, label) in enumerate(labels.items()):
        y = 11 + 16 * i
        outline = 1 if name == "truth" else -1
        cv2.circle(canvas, (10, y), 4, COLOURS[name], outline, cv2.LINE_AA)
        draw_text(canvas, label, (20, y + 4), (255, 255, 255))
