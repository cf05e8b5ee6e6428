"""Draw invented characters in Omniglot's layout, for trials without a download.

A character is a few curved strokes. Each of its drawings bends, turns, stretches
and thickens them as another hand would. Training and test alphabets differ.
"""

import argparse
import os
from pathlib import Path

import cv2
import numpy as np

SIZE = 105
DRAWINGS = 20
# Names that OmniglotRetrieval expects of its small version.
ALPHABETS = {
    "images_background_small1": ("Balinese", "Early_Aramaic", "Greek", "Korean"),
    "images_background_small2": ("Japanese_(katakana)", "Sanskrit", "Tagalog"),
}


def invent_character(rng):
    """Strokes, each ``(n, 2)`` control points in the unit square."""
    ends = rng.uniform(0.15, 0.85, (rng.integers(2, 5), 2, 2))
    strokes = []
    for start, end in ends:
        middle = (start + end) / 2 + rng.normal(0, 0.2, 2)
        strokes.append(np.stack([start, middle.clip(0.1, 0.9), end]))
    return strokes


def draw(strokes, rng, wobble):
    """One drawing ``(105, 105)`` uint8, black on white."""
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
        curve = (1 - t) ** 2 * a + 2 * t * (1 - t) * (2 * b - (a + c) / 2) + t**2 * c
        points = ((curve - 0.5) @ turn.T + shift) * SIZE
        cv2.polylines(
            image, [np.round(points).astype(np.int32)], False, 0, thickness, cv2.LINE_AA
        )
    return image


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="new folder")
    parser.add_argument(
        "--characters", type=int, default=34, help="of each alphabet, at most 99"
    )
    parser.add_argument(
        "--wobble",
        type=float,
        default=0.045,
        help="of the hands; 1 is the image's side",
    )
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if not 1 <= args.characters <= 99:
        raise SystemExit(f"--characters lies in 1..99, not {args.characters}")
    if args.out.exists():
        raise SystemExit(f"{args.out} exists; choose a new folder")
    temporary = args.out.with_name(f".unfinished-{args.out.name}-{os.getpid()}")
    rng = np.random.default_rng(args.seed)
    count = 0
    for part, alphabets in ALPHABETS.items():
        for alphabet in alphabets:
            for number in range(1, args.characters + 1):
                count += 1
                strokes = invent_character(rng)
                folder = temporary / part / alphabet / f"character{number:02d}"
                folder.mkdir(parents=True)
                for i in range(1, DRAWINGS + 1):
                    image = draw(strokes, rng, args.wobble)
                    cv2.imwrite(str(folder / f"{count:04d}_{i:02d}.png"), image)
    temporary.rename(args.out)
    print(f"{count * DRAWINGS} drawings of {count} characters in {args.out}")


if __name__ == "__main__":
    main()
