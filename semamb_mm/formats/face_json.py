"""MMPose's json files of faces: an image entry and an annotation for each face."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np

from .files import atomic_write

CATEGORY = dict(supercategory="person", id=1, name="face", keypoints=[], skeleton=[])
# MMPose's face data sets multiply the stored scale by this.
PIXEL_STD = 200
# Of the box of the landmarks, added on each side.
MARGIN = 0.1


def whole_pixel_square(keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """The square of MMPose's 300W files: around landmarks rounded outwards.

    Args:
        keypoints: ``(K, 2)`` in pixels.

    Returns:
        Its centre ``(2,)`` and its side, pixels.
    """
    low, high = np.floor(keypoints.min(0)), np.ceil(keypoints.max(0))
    return (low + high) / 2, float((high - low).max())


def tight_square(keypoints: np.ndarray) -> tuple[np.ndarray, float]:
    """The square of MMPose's 300-VW files: only its side is rounded up.

    Arguments and result are those of :func:`whole_pixel_square`.
    """
    low, high = keypoints.min(0), keypoints.max(0)
    return (low + high) / 2, float(np.ceil((high - low).max()))


@contextmanager
def write_face_json(path: str | os.PathLike) -> Iterator[Callable]:
    """Write such a file, face by face: it may be larger than memory.

    ::

        with write_face_json(path) as add:
            add(1, "afw/1_1.jpg", (640, 480), keypoints, center, side)

    ``add`` takes the face's id, the image's path below the image folder, its (width,
    height), ``keypoints`` ``(K, 2)`` in pixels, the centre ``(2,)`` and side of the
    square box that MMPose's face data sets crop, optionally ``flags`` ``(K,)`` (2 for
    a visible landmark, 1 for one that is hidden or not known to be visible, 0 for one
    without a label; all 1 by default), and further fields of the annotation. The file
    appears whole when the block ends without an error.
    """
    images: list[str] = []

    def add(
        face_id: int,
        file_name: str,
        size: tuple[int, int],
        keypoints: np.ndarray,
        center: np.ndarray,
        side: float,
        flags: Sequence[int] | None = None,
        **fields,
    ) -> None:
        width, height = size
        image = dict(id=face_id, file_name=file_name, height=height, width=width)
        keypoints = np.asarray(keypoints, np.float64).round(4)
        kinds = np.ones(len(keypoints), int) if flags is None else np.asarray(flags)
        labelled = keypoints[kinds > 0]
        low, extent = labelled.min(0), np.ptp(labelled, axis=0)
        box = [*(low - MARGIN * extent), *((1 + 2 * MARGIN) * extent)]
        annotation = dict(
            id=face_id,
            image_id=face_id,
            category_id=1,
            iscrowd=0,
            num_keypoints=len(labelled),
            keypoints=[
                number
                for (x, y), flag in zip(keypoints.tolist(), kinds.tolist())
                for number in (x, y, flag)
            ],
            center=[float(value) for value in center],
            scale=side / PIXEL_STD,
            bbox=[round(float(value), 4) for value in box],
            area=round(float(box[2] * box[3]), 4),
            **fields,
        )
        file.write(",\n" * bool(images) + json.dumps(annotation))
        images.append(json.dumps(image))

    with atomic_write(path, encoding="utf-8") as file:
        file.write(f'{{"categories": [{json.dumps(CATEGORY)}],\n"annotations": [\n')
        yield add
        file.write('\n],\n"images": [\n' + ",\n".join(images) + "\n]}\n")
