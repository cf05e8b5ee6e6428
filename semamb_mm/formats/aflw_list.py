"""The list of AFLW-Full: ``AFLWinfo_release.mat`` of Zhu et al. (CVPR 2016).

AFLW's own data base marks only landmarks that can be seen, and has no split. This list
has 19 landmarks (AFLW's 21 without the ears) for each of 24,386 faces, hidden ones
too, and everyone's split. Its fields, as public code that reads it uses them:

- ``nameList`` (N, 1): image, below AFLW's folder ``flickr``: ``0/image00002.jpg``;
- ``data`` (N, 38): x1, ..., x19, y1, ..., y19;
- ``bbox`` (N, 4): left, right, top, bottom of the face (in this order);
- ``mask_new`` (N, 19): 1 where the landmark can be seen;
- ``ra`` (N): order of the faces, numbered from 1: its first 20,000 are trained on, the
  other 4,386 tested; those with all landmarks visible are AFLW-Frontal.

The authors of this package had no copy of the file at hand. What is read is held
against this description (a box must hold its landmarks, say), and whatever does not fit
is an error. Coordinates are taken as they are, which is what that public code does;
whether their first pixel is (0, 0) or (1, 1) is not known to us.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from semamb_mm.faces.sizes import box_size

from .matlab import Matlab73Error, MatlabError, load_variables

NUM_LANDMARKS = 19
NUM_TRAIN = 20000
FIELDS = ("bbox", "data", "mask_new", "nameList", "ra")
# Where the images of AFLW's archives may lie below a data root.
IMAGE_FOLDERS = (
    "images",
    "images/flickr",
    "flickr",
    "data/flickr",
    "aflw/data/flickr",
    ".",
)
# Share of the boxes that must hold the middle of their landmarks.
SHARE_IN_BOX = 0.9


class AFLWListError(ValueError):
    """A list that is not what :mod:`semamb_mm.formats.aflw_list` describes."""


class AFLWList(NamedTuple):
    """All faces of the list.

    Attributes:
        names: Image of each face, below the folder ``flickr``.
        keypoints: ``(N, 19, 2)`` float64, pixels; NaN where there is no label.
        visible: ``(N, 19)`` bool, whether a landmark can be seen.
        boxes: ``(N, 4)`` float64 x1, y1, x2, y2 in pixels.
        splits: Split (``'train'``, ``'test'``, ``'test_frontal'``) to its faces' rows.
    """

    names: list[str]
    keypoints: np.ndarray
    visible: np.ndarray
    boxes: np.ndarray
    splits: dict[str, np.ndarray]

    def face_sizes(self) -> np.ndarray:
        """Return the root of each box's area ``(N,)``: AFLW's NME is divided by it."""
        return box_size(self.boxes)


def read_aflw_list(path: str | os.PathLike) -> AFLWList:
    """Read ``AFLWinfo_release.mat``.

    Raises:
        FileNotFoundError: If there is no such file.
        AFLWListError: If it is not such a list.
    """
    names, fields = _load(path)
    count = len(names)
    for field, columns in (("data", 2 * NUM_LANDMARKS), ("bbox", 4), ("mask_new", 19)):
        if fields[field].shape != (count, columns):
            raise AFLWListError(
                f"{path}: {field} has shape {fields[field].shape}; expected {count} "
                f"rows (as many as nameList has) of {columns}"
            )
    order = np.ravel(fields["ra"]).astype(int) - 1
    if not np.array_equal(np.sort(order), np.arange(count)) or count <= NUM_TRAIN:
        raise AFLWListError(
            f"{path}: ra has {order.size} numbers from {order.min() + 1} to "
            f"{order.max() + 1}; expected each of 1 to {count} once, and more than the "
            f"{NUM_TRAIN} faces of the training set"
        )
    visible = fields["mask_new"] > 0
    keypoints = (
        fields["data"].reshape(count, 2, NUM_LANDMARKS).transpose(0, 2, 1).copy()
    )
    keypoints[~visible & (keypoints == 0).all(2)] = np.nan
    boxes = fields["bbox"][:, [0, 2, 1, 3]]
    _check(path, names, keypoints, visible, boxes)
    test = order[NUM_TRAIN:]
    splits = dict(
        train=order[:NUM_TRAIN], test=test, test_frontal=test[visible[test].all(1)]
    )
    return AFLWList(names, keypoints, visible, boxes, splits)


def find_aflw_list(root: str | os.PathLike) -> Path:
    """Return ``AFLWinfo_release.mat`` of a data root or its folder ``annotations``.

    Raises:
        FileNotFoundError: If it is in neither.
    """
    places = [Path(root), Path(root) / "annotations"]
    for place in places:
        if (place / "AFLWinfo_release.mat").is_file():
            return place / "AFLWinfo_release.mat"
    raise FileNotFoundError(
        f"no AFLWinfo_release.mat in {places[0]} or {places[1]}; it comes from "
        "mmlab.ie.cuhk.edu.hk/projects/compositional.html, apart from AFLW's images"
    )


def find_image_folder(root: str | os.PathLike, names: list[str]) -> Path:
    """Return the folder that the list's names are below: the first that has any.

    Raises:
        FileNotFoundError: If none does.
    """
    for folder in IMAGE_FOLDERS:
        if any((Path(root) / folder / name).is_file() for name in names):
            return Path(root) / folder
    raise FileNotFoundError(
        f"{root}: none of the {len(names):,} images that the list names, such as "
        f"{names[0]}, is in any of {', '.join(IMAGE_FOLDERS)} below it"
    )


def _load(path: str | os.PathLike) -> tuple[list[str], dict[str, np.ndarray]]:
    """Return the names of the images, and the other fields as numbers."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"no list {path}")
    try:
        fields, reasons = load_variables(path)
    except Matlab73Error as error:
        raise AFLWListError(
            f"{path}: saved in Matlab's format 7.3, which cannot be read here; save it "
            "again with save(..., '-v7'), or take the file as its authors publish it"
        ) from error
    except (MatlabError, OSError) as error:
        raise AFLWListError(
            f"{path}: not a Matlab file that can be read ({error})"
        ) from error
    missing = sorted(set(FIELDS) - set(fields))
    if missing and reasons:
        raise AFLWListError(
            f"{path}: not a Matlab file that can be read ({reasons[0]})"
        )
    if missing:
        raise AFLWListError(
            f"{path}: no {', '.join(missing)} in it; expected {', '.join(FIELDS)}"
        )
    names = [str(name) for name in np.ravel(fields["nameList"])]
    try:
        numbers = {
            field: np.array(fields[field], np.float64)
            for field in FIELDS
            if field != "nameList"
        }
    except (TypeError, ValueError) as error:
        raise AFLWListError(
            f"{path}: not a Matlab file that can be read ({error})"
        ) from error
    return names, numbers


def _check(
    path: str | os.PathLike,
    names: list[str],
    keypoints: np.ndarray,
    visible: np.ndarray,
    boxes: np.ndarray,
) -> None:
    """See that the numbers are those of faces, in the order that was assumed."""
    bad = visible & ~np.isfinite(keypoints).all(2)
    if bad.any():
        row, landmark = np.argwhere(bad)[0]
        raise AFLWListError(
            f"{path}: landmark {landmark} (from 0) of face {row + 1}, {names[row]}, is "
            f"{keypoints[row, landmark].tolist()} but marked visible; expected finite "
            f"coordinates ({bad.sum()} such landmarks in all)"
        )
    unlabelled = ~np.isfinite(keypoints).all(2).any(1)
    flat = ~(boxes[:, 2:] > boxes[:, :2]).all(1)
    for rows, text in (
        (unlabelled, "has no landmark"),
        (flat, "has a box without width or height"),
    ):
        if rows.any():
            row = np.flatnonzero(rows)[0]
            raise AFLWListError(
                f"{path}: face {row + 1}, {names[row]}, {text} "
                f"(left, right, top, bottom {boxes[row, [0, 2, 1, 3]].tolist()}; "
                f"{rows.sum()} such faces in all)"
            )
    middle = np.nanmean(keypoints, axis=1)
    inside = ((middle > boxes[:, :2]) & (middle < boxes[:, 2:])).all(1)
    if inside.mean() < SHARE_IN_BOX:
        raise AFLWListError(
            f"{path}: the landmarks' middle lies outside the box for "
            f"{(~inside).sum():,} of {len(inside):,} faces; expected bbox to hold "
            "left, right, top, bottom and data x1, ..., x19, y1, ..., y19"
        )
