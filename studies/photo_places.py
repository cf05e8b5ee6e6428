"""Places in photographs as retrieval classes: natural images without a download.

A class is a small square of one of scikit-image's or scikit-learn's photographs; its
images are views of it, turned, scaled, shifted, sheared and lit differently. Training
and test places are of different photographs.
"""

from __future__ import annotations

import os

import cv2
import numpy as np
import skimage.data
from sklearn.datasets import load_sample_image

from semamb_mm.formats.files import atomic_folder

# The layout of OmniglotRetrieval(version='full'): part, photograph, place, view.
PHOTOGRAPHS = {
    "images_background": (
        "astronaut",
        "brick",
        "coffee",
        "flower",
        "gravel",
        "immunohistochemistry",
        "moon",
        "retina",
        "rocket",
        "stereo_motorcycle",
    ),
    "images_evaluation": (
        "camera",
        "chelsea",
        "china",
        "coins",
        "grass",
        "hubble_deep_field",
    ),
}
PLACES = 14  # of a photograph
VIEWS = 20  # of a place
SIZE = 28  # of a view, pixels
_SIDE = 64  # of a place, pixels of a photograph of at most _LONGEST
_LONGEST = 640


def read_photograph(name: str) -> np.ndarray:
    """Return a photograph in grey, ``(H, W)`` uint8, at most 640 pixels long."""
    if name in ("china", "flower"):
        image = load_sample_image(f"{name}.jpg")
    else:
        image = getattr(skimage.data, name)()
    if isinstance(image, tuple):  # a stereo pair and its disparity
        image = image[0]
    if image.ndim == 3:
        image = cv2.cvtColor(np.ascontiguousarray(image[..., :3]), cv2.COLOR_RGB2GRAY)
    scale = min(1, _LONGEST / max(image.shape))
    return cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)


def choose_places(photograph: np.ndarray, count: int) -> list[tuple[int, int]]:
    """Return the centres ``(x, y)`` of the squares with the most contrast.

    Of a grid whose squares do not overlap.

    Raises:
        ValueError: If there are not so many.
    """
    rows, columns = (length // _SIDE for length in photograph.shape)
    if rows * columns < count:
        raise ValueError(
            f"a photograph of {photograph.shape} has {rows * columns} squares of "
            f"{_SIDE} pixels, {count} are needed"
        )
    squares = photograph[: rows * _SIDE, : columns * _SIDE].astype(float)
    contrast = squares.reshape(rows, _SIDE, columns, _SIDE).std(axis=(1, 3))
    order = np.argsort(-contrast, axis=None, kind="stable")[:count]
    return [
        (int(i % columns) * _SIDE + _SIDE // 2, int(i // columns) * _SIDE + _SIDE // 2)
        for i in order
    ]


def view(
    photograph: np.ndarray, centre: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Return one view ``(28, 28)`` uint8 of a place."""
    angle = rng.normal(0, 0.35)
    shear = rng.normal(0, 0.2)
    scale = _SIDE / SIZE * np.exp(rng.normal(0, 0.2, 2))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    matrix = turn @ np.array([[1, shear], [0, 1]]) * scale
    middle = np.array(centre) + rng.normal(0, 0.12 * _SIDE, 2)
    offset = middle - matrix @ np.full(2, (SIZE - 1) / 2)
    smooth = cv2.GaussianBlur(photograph, (0, 0), 0.4 * _SIDE / SIZE)
    pixels = cv2.warpAffine(
        smooth,
        np.column_stack((matrix, offset)),
        (SIZE, SIZE),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REFLECT_101,
    ).astype(float)
    pixels = 255 * (pixels / 255) ** np.exp(rng.normal(0, 0.4))
    pixels = (pixels - 127.5) * np.exp(rng.normal(0, 0.3)) + 127.5 + rng.normal(0, 25)
    pixels += rng.normal(0, 10, pixels.shape)
    return pixels.clip(0, 255).astype(np.uint8)


def write_places(folder: str | os.PathLike, seed: int = 0) -> int:
    """Write the views of all places in Omniglot's layout.

    Args:
        folder: A new folder, which appears whole or not at all.
        seed: Of the views.

    Returns:
        The number of places.
    """
    rng = np.random.default_rng(seed)
    count = 0
    with atomic_folder(folder) as unfinished:
        for part, names in PHOTOGRAPHS.items():
            for name in names:
                photograph = read_photograph(name)
                for number, centre in enumerate(choose_places(photograph, PLACES), 1):
                    count += 1
                    place = unfinished / part / name / f"character{number:02d}"
                    place.mkdir(parents=True)
                    for i in range(1, VIEWS + 1):
                        path = place / f"{count:04d}_{i:02d}.png"
                        if not cv2.imwrite(str(path), view(photograph, centre, rng)):
                            raise OSError(f"OpenCV cannot write {path}")
    return count
