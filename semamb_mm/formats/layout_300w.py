"""300W's folders: what is in them and which split takes which.

The parts are as iBUG hands them out, ``afw``, ``helen``, ``ibug`` and ``lfpw``, each
image with a ``.pts`` file of the same stem beside it. Names may be in capitals, the
folders below ``helen`` and ``lfpw`` may be called ``train`` and ``test``, and all of it
may lie below a folder ``images``, as MMPose wants it.
"""

from __future__ import annotations

import os
from pathlib import Path

from .images import check_image
from .pts_faces import Face, FaceFiles, find_faces, read_face

# Part to its number of faces.
PARTS = {
    "afw": 337,
    "helen/trainset": 2000,
    "lfpw/trainset": 811,
    "helen/testset": 330,
    "lfpw/testset": 224,
    "ibug": 135,
}
_COMMON = ("helen/testset", "lfpw/testset")
# Named as MMPose names its json files.
SPLITS = {
    "train": ("afw", "helen/trainset", "lfpw/trainset"),
    "valid_common": _COMMON,
    "valid_challenge": ("ibug",),
    "valid": (*_COMMON, "ibug"),
}
# Some copies of 300W have each image mirrored beside it; no split counts those.
MIRRORED = "_mirror"


def image_root(root: str | os.PathLike) -> Path:
    """Return what image paths are relative to: ``images``, or the root itself."""
    images = Path(root) / "images"
    return images if images.is_dir() else Path(root)


def find_part(root: str | os.PathLike, part: str) -> Path:
    """Return the folder of a part, one of :data:`PARTS`.

    Raises:
        FileNotFoundError: If there is none.
    """
    folder = image_root(root)
    for name in part.split("/"):
        names = {name, name.removesuffix("set")}
        entries = sorted(folder.iterdir()) if folder.is_dir() else []
        matches = [e for e in entries if e.name.lower() in names and e.is_dir()]
        if not matches:
            raise FileNotFoundError(
                f"no folder {folder / name}, for part {part} of 300W "
                f"({PARTS[part]:,} faces). Expected {', '.join(PARTS)} below "
                f"{image_root(root)}; faces of helen or lfpw that are not in a "
                "trainset and a testset cannot be told apart"
            )
        folder = matches[0]
    return folder


def part_faces(root: str | os.PathLike, part: str) -> list[FaceFiles]:
    """Return the files of a part's faces, sorted by path, without mirrored copies.

    Raises:
        FileNotFoundError: If the part's folder is missing.
    """
    faces = find_faces([str(find_part(root, part))])
    return [face for face in faces if not face.stem.endswith(MIRRORED)]


def read_whole_face(files: FaceFiles, origin: int = 0) -> Face:
    """Read a face whose image is decoded in full.

    Args:
        files: As :func:`part_faces` gives them.
        origin: As in :func:`~semamb_mm.formats.pts.read_pts`.

    Raises:
        BadImageError: If the image is missing or cannot be decoded in full.
        PtsError: If the annotation cannot be used.
    """
    face = read_face(files, origin=origin)
    check_image(face.image_path)
    return face
