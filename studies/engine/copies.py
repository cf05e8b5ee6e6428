"""Copies of .pts folders: images linked, annotations changed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.pts import write_pts


def copy_face(image: Path, source: Path, target: Path, keypoints: np.ndarray) -> Path:
    """Link an image into another .pts folder, with landmarks of its own.

    Args:
        image: An image in ``source``.
        source: The .pts folder.
        target: The folder of the copy.
        keypoints: ``(K, 2)`` landmarks, image pixels.

    Returns:
        The image's path, relative to either folder.
    """
    name = image.relative_to(source)
    copy = target / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.symlink_to(image.resolve())
    write_pts(copy.with_suffix(".pts"), keypoints)
    return name


def write_list(path: Path, names: Iterable[Path | str]) -> None:
    """Write the list file of a split, one image a line."""
    with atomic_write(path) as file:
        file.writelines(f"{name}\n" for name in names)
