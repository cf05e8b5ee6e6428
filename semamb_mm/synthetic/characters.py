"""Invented characters in Omniglot's layout, for trials without a download.

A character is a few curved strokes. Each of its drawings bends, turns, stretches and
thickens them as another hand would. Training and test alphabets differ.
"""

from __future__ import annotations

import os

import cv2
import numpy as np

from semamb_mm.formats.files import atomic_folder

SIZE = 105
DRAWINGS = 20
# The part's folder to its alphabets: names that OmniglotRetrieval expects of its small
# version.
ALPHABETS = {
    "images_background_small1": ("Balinese", "Early_Aramaic", "Greek", "Korean"),
    "images_background_small2": ("Japanese_(katakana)", "Sanskrit", "Tagalog"),
}


def invent_character(rng: np.random.Generator) -> list[np.ndarray]:
    """Return strokes, each ``(3, 2)`` points of a curve in the unit square."""
    ends = rng.uniform(0.15, 0.85, (rng.integers(2, 5), 2, 2))
    strokes = []
    for start, end in ends:
        middle = (start + end) / 2 + rng.normal(0, 0.2, 2)
        strokes.append(np.stack([start, middle.clip(0.1, 0.9), end]))
    return strokes


def draw_character(
    strokes: list[np.ndarray], rng: np.random.Generator, wobble: float
) -> np.ndarray:
    """Return one drawing ``(105, 105)`` uint8, black on white.

    Args:
        strokes: As :func:`invent_character` gives them.
        rng: The hand's random numbers.
        wobble: Standard deviation of a stroke's points; 1 is the image's side.
    """
    angle, shear = rng.normal(0, 0.12), rng.normal(0, 0.12)
    turn = np.array(
        [[np.cos(angle), -np.sin(angle) + shear], [np.sin(angle), np.cos(angle)]]
    ) * rng.normal(1, 0.08, (2, 1))
    shift = rng.normal(0.5, 0.03, 2)
    image = np.full((SIZE, SIZE), 255, np.uint8)
    thickness = int(rng.integers(2, 5))
    t = np.linspace(0, 1, 24)[:, None]
    for stroke in strokes:
        a, b, c = stroke + rng.normal(0, wobble, stroke.shape)
        # The quadratic Bézier curve that passes through b at t = 1/2.
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * (2 * b - (a + c) / 2) + t**2 * c
        points = ((curve - 0.5) @ turn.T + shift) * SIZE
        cv2.polylines(
            image, [np.round(points).astype(np.int32)], False, 0, thickness, cv2.LINE_AA
        )
    return image


def write_character_tree(
    folder: str | os.PathLike,
    num_characters: int = 34,
    wobble: float = 0.045,
    seed: int = 0,
) -> int:
    """Draw :data:`DRAWINGS` images of each character of all alphabets.

    Args:
        folder: A new folder, which appears whole or not at all.
        num_characters: Of each alphabet, 1 to 99.
        wobble: As in :func:`draw_character`.
        seed: Which characters.

    Returns:
        The number of characters.

    Raises:
        FileExistsError: If there is something called ``folder``.
        OSError: If OpenCV cannot write an image.
    """
    rng = np.random.default_rng(seed)
    count = 0
    with atomic_folder(folder) as unfinished:
        for part, alphabets in ALPHABETS.items():
            for alphabet in alphabets:
                for number in range(1, num_characters + 1):
                    count += 1
                    strokes = invent_character(rng)
                    character = unfinished / part / alphabet / f"character{number:02d}"
                    character.mkdir(parents=True)
                    for i in range(1, DRAWINGS + 1):
                        path = character / f"{count:04d}_{i:02d}.png"
                        image = draw_character(strokes, rng, wobble)
                        if not cv2.imwrite(str(path), image):
                            raise OSError(f"could not write {path}")
    return count
