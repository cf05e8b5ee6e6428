"""Pictures that follow each other, in one file."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from semamb_mm.formats.files import atomic_path

_COLOURS = 255  # of all frames together; one of a GIF's 256 means "as before"
_SAMPLED = 8  # frames that the colours are chosen from


def write_gif(
    path: str | os.PathLike,
    frames: Sequence[np.ndarray],
    seconds: float = 0.6,
    last: float = 2.0,
) -> None:
    """Write an animation that begins anew at its end.

    All frames share their colours and none is dithered, so that what does not change
    takes no room in the file.

    Args:
        path: The .gif file; written whole or not at all.
        frames: ``(H, W, 3)`` uint8, BGR, all of one size.
        seconds: How long each is shown.
        last: How long the last one is.

    Raises:
        ValueError: Without frames, or if their sizes differ.
    """
    if len(frames) == 0 or any(frame.shape != frames[0].shape for frame in frames):
        raise ValueError("an animation needs frames, all of the same size")
    # Not at the top: training needs no Pillow.
    from PIL import Image

    step = -(-len(frames) // _SAMPLED)
    sampled = np.vstack([*frames[::step], frames[-1]])
    # Of the ways to choose colours the one that keeps rare ones, such as dots'.
    palette = Image.fromarray(sampled[..., ::-1].copy()).quantize(
        _COLOURS, Image.Quantize.MAXCOVERAGE
    )
    first, *others = (
        Image.fromarray(frame[..., ::-1].copy()).quantize(
            palette=palette, dither=Image.Dither.NONE
        )
        for frame in frames
    )
    durations = [round(1000 * seconds)] * len(others) + [round(1000 * last)]
    with atomic_path(path) as unfinished:
        first.save(
            unfinished,
            format="GIF",
            save_all=True,
            append_images=others,
            duration=durations,
            loop=0,
        )
