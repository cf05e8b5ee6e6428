"""Folders of face images, each with a ``.pts`` file of the same stem beside it.

Faces are found below folders or named by list files, then read one by one: a face that
cannot be used is an error of its own, so that a caller may leave it out.
"""

from __future__ import annotations

import os
import os.path as osp
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import NamedTuple

import numpy as np

from .images import IMAGE_SUFFIXES, BadImageError, image_size
from .pts import PtsError, read_pts


class FaceFiles(NamedTuple):
    """The files of one face, as they were found.

    Attributes:
        stem: Path without suffix.
        images: Image files of this stem: one, if all is well.
        annotation: The ``.pts`` file; None if there is none.
        source: Where the face is named: its folder, or list file and line.
    """

    stem: str
    images: list[str]
    annotation: str | None
    source: str


class Face(NamedTuple):
    """One face, as it was read.

    Attributes:
        image_path: The image file.
        size: (width, height) as OpenCV will load it, pixels.
        keypoints: ``(K, 2)`` float32, pixels.
        visible: ``(K,)`` bool, whether a landmark lies in the image.
    """

    image_path: str
    size: tuple[int, int]
    keypoints: np.ndarray
    visible: np.ndarray


def face_key(stem: str, root: str) -> str:
    """Return a face's path below ``root``, with slashes, on every system."""
    return osp.relpath(stem, root or ".").replace(os.sep, "/")


def find_faces(
    folders: Sequence[str], exclude: Sequence[str] = (), root: str = ""
) -> list[FaceFiles]:
    """Return all faces below some folders, sorted by path, each once.

    Args:
        folders: Where to look; hidden files and folders are passed over.
        exclude: Shell patterns of :func:`face_key` that are left out.
        root: What the keys are relative to.

    Raises:
        FileNotFoundError: If one of the folders is missing.
    """
    faces: dict[str, FaceFiles] = {}
    for top in folders:
        if not osp.isdir(top):
            raise FileNotFoundError(
                f"no folder {top!r}; fix data_root or data_prefix['img']"
            )
        for parent, below, names in os.walk(top):
            below[:] = sorted(name for name in below if not name.startswith("."))
            for face in _pair(parent, names):
                key = face_key(face.stem, root)
                if not any(fnmatchcase(key, pattern) for pattern in exclude):
                    faces[osp.normpath(face.stem)] = face
    return [faces[stem] for stem in sorted(faces)]


def list_faces(list_files: Sequence[str], folders: Sequence[str]) -> list[FaceFiles]:
    """Return the faces that list files name, in their order.

    A line is a path below one of the folders, with or without suffix; empty lines and
    lines that start with '#' are passed over. Files need not be there.

    Raises:
        FileNotFoundError: If a list file is missing.
        ValueError: If a list is empty or no text, a face is named twice, or lies in
            several folders.
    """
    contents: dict[str, dict[str, FaceFiles]] = {}  # folder to its stems
    first_seen: dict[str, str] = {}
    faces = []
    for list_file in list_files:
        items = list(_read_list(list_file))
        if not items:
            raise ValueError(
                f"{list_file}: an empty list; expected one sample a line, such as "
                "'afw/134212_1'"
            )
        for number, item in items:
            source = f"{list_file}, line {number}"
            face = _look_up(item, source, folders, contents)
            key = osp.normpath(face.stem)
            if key in first_seen:
                raise ValueError(
                    f"{source}: {item!r} is already named by {first_seen[key]}"
                )
            first_seen[key] = source
            faces.append(face)
    return faces


def read_face(files: FaceFiles, num_points: int = 68, origin: int = 0) -> Face:
    """Read a face's landmarks and its image's size; the image is not decoded.

    Args:
        files: As :func:`find_faces` or :func:`list_faces` give them.
        num_points: How many landmarks the face must have.
        origin: As in :func:`~semamb_mm.formats.pts.read_pts`.

    Raises:
        BadImageError: If the image is missing, one of several, or none.
        PtsError: If the annotation is missing, cannot be read, or does not fit the
            image: a landmark outside the image is merely not visible, one that lies
            farther outside than the face is large makes the annotation wrong.
    """
    if len(files.images) > 1:
        raise BadImageError(
            f"{files.source}: {len(files.images)} images share one stem and so "
            f"one .pts file: {[osp.basename(name) for name in files.images]}"
        )
    if not files.images:
        raise BadImageError(
            f"{files.source}: no image {files.stem}{{{','.join(IMAGE_SUFFIXES)}}}"
        )
    if files.annotation is None:
        raise PtsError(f"{files.source}: no annotation {files.stem}.pts")
    keypoints = read_pts(files.annotation, num_points, origin)
    size = image_size(files.images[0])
    visible = _visible(files.annotation, keypoints, files.images[0], size)
    return Face(files.images[0], size, keypoints, visible)


def _visible(
    annotation: str, keypoints: np.ndarray, image_path: str, size: tuple[int, int]
) -> np.ndarray:
    """Return which landmarks lie in the image, if they can be a face's in it."""
    width, height = size
    extent = keypoints.max(0) - keypoints.min(0)
    if not (extent > 0).all():
        raise PtsError(
            f"{annotation}: the landmarks span {extent[0]:g} x "
            f"{extent[1]:g} px; expected a face with some width and height"
        )
    beyond = np.maximum(-0.5 - keypoints, keypoints - (np.array(size) - 0.5))
    # the extent of the landmarks inside, so that one stray one is judged by them
    usual = np.ptp(np.quantile(keypoints, (0.1, 0.9), axis=0), axis=0).max()
    absurd = np.flatnonzero((beyond > usual).any(1))
    if len(absurd):
        x, y = keypoints[absurd[0]]
        raise PtsError(
            f"{annotation}: landmark {absurd[0]} (counted from 0) at "
            f"({x:g}, {y:g}) lies farther outside the {width} x {height} px "
            f"image {image_path} than the face is large; expected landmarks in "
            "or near the image"
        )
    visible = np.asarray((beyond <= 0).all(1))
    if not visible.any():
        raise PtsError(
            f"{annotation}: all landmarks lie outside the {width} x "
            f"{height} px image {image_path}"
        )
    return visible


def _look_up(
    item: str,
    source: str,
    folders: Sequence[str],
    contents: dict[str, dict[str, FaceFiles]],
) -> FaceFiles:
    """Return the files of a list's item; ``contents`` remembers folders."""
    root, suffix = osp.splitext(item)
    if suffix.lower() in (*IMAGE_SUFFIXES, ".pts"):
        item = root
    candidates = [osp.join(folder, item) for folder in folders]
    matches = []
    for stem in candidates:
        parent = osp.dirname(stem)
        if parent not in contents:
            names = os.listdir(parent) if osp.isdir(parent) else []
            contents[parent] = {face.stem: face for face in _pair(parent, names)}
        if stem in contents[parent]:
            matches.append(contents[parent][stem])
    if len(matches) > 1:
        raise ValueError(
            f"{source}: {item!r} is in several folders: "
            f"{[match.stem for match in matches]}; name one of them in full"
        )
    if not matches:
        return FaceFiles(candidates[0], [], None, source)
    return matches[0]._replace(source=source)


def _pair(parent: str, names: Sequence[str]) -> Iterator[FaceFiles]:
    """Group a folder's files by stem."""
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for name in sorted(names):
        stem, suffix = osp.splitext(name)
        if name.startswith(".") or suffix.lower() not in (*IMAGE_SUFFIXES, ".pts"):
            continue
        images, annotations = groups.setdefault(stem, ([], []))
        kind = annotations if suffix.lower() == ".pts" else images
        kind.append(osp.join(parent, name))
    for stem, (images, annotations) in groups.items():
        annotation = annotations[0] if annotations else None
        yield FaceFiles(osp.join(parent, stem), images, annotation, source=parent)


def _read_list(list_file: str) -> Iterator[tuple[int, str]]:
    """Yield the items of a list file with their line numbers."""
    try:
        with open(list_file, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                item = line.strip()
                if item and not item.startswith("#"):
                    yield number, item
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no list file {list_file!r}; fix ann_file (it is taken relative to "
            "data_root)"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{list_file}: not a text file ({error.reason} at byte {error.start}); "
            "expected one sample a line"
        ) from error
