"""A few pictures that several people marked, in the layouts that are read."""

import json
from pathlib import Path

import cv2
import numpy as np

from semamb_mm.formats.pts import write_pts

LANDMARKS = ("tip", "left", "right", "base", "end")
SIDE = 96  # of an image, pixels


def marks(names=("anna", "ben", "eva"), samples=12, seed=0, noise=1.0) -> np.ndarray:
    """Points ``(A, N, K, 2)`` of pictures with five landmarks, pixels."""
    rng = np.random.default_rng(seed)
    shape = np.array([[48, 20], [25, 40], [70, 42], [40, 75], [60, 78]], float)
    truth = shape + 4 * rng.standard_normal((samples, 1, 2))
    truth += rng.standard_normal((samples, len(shape), 2))
    return truth + noise * rng.standard_normal((len(names), *truth.shape))


def write_pictures(folder: Path, count: int) -> None:
    """Write ``000.png`` and so on, each another one."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for i in range(count):
        picture = rng.integers(0, 255, (6, 6, 3), np.uint8)
        picture = cv2.resize(picture, (SIDE, SIDE))
        assert cv2.imwrite(str(folder / f"{i:03d}.png"), picture)


def coco(points: np.ndarray, annotators=(None,), missing=()) -> dict:
    """COCO's json of points ``(A, N, K, 2)``; annotations name their annotator.

    Args:
        points: Of the annotators.
        annotators: Their names; None: not said.
        missing: Annotator, sample and landmark of those without a label; None for all
            of them.
    """
    category = dict(id=1, name="thing", keypoints=list(LANDMARKS), skeleton=[])
    images = [
        dict(id=i, file_name=f"{i:03d}.png", width=SIDE, height=SIDE)
        for i in range(points.shape[1])
    ]
    annotations = []
    for a, i in np.ndindex(points.shape[:2]):
        if (a, i, None) in missing:
            continue
        flags = [0 if (a, i, k) in missing else 2 for k in range(len(LANDMARKS))]
        rows = np.concatenate([points[a, i], np.array(flags)[:, None]], 1)
        made = dict(
            id=len(annotations) if len(annotators) > 1 else i,
            image_id=i,
            category_id=1,
            iscrowd=0,
            keypoints=rows.ravel().tolist(),
            num_keypoints=int(np.count_nonzero(flags)),
            bbox=[10.0, 10.0, 76.0, 76.0],
            area=76.0**2,
        )
        if annotators[a] is not None:
            made["annotator"] = annotators[a]
        annotations.append(made)
    return dict(categories=[category], images=images, annotations=annotations)


def write_coco(folder: Path, points: np.ndarray, names, missing=()) -> dict[str, Path]:
    """Write a json for each annotator, and the pictures; return the files."""
    write_pictures(folder / "images", points.shape[1])
    files = {}
    for a, name in enumerate(names):
        own = [(0, i, k) for who, i, k in missing if who == a]
        files[name] = folder / f"{name}.json"
        files[name].write_text(json.dumps(coco(points[a : a + 1], missing=own)))
    return files


def write_pts_folders(folder: Path, points: np.ndarray, names) -> dict[str, Path]:
    """Write a folder of ``.pts`` files for each annotator; return the folders."""
    for a, i in np.ndindex(points.shape[:2]):
        write_pts(folder / names[a] / f"{i:03d}.pts", points[a, i])
    return {name: folder / name for name in names}


def source() -> dict:
    """Config of the stock data set that reads these json files."""
    info = {
        i: dict(name=name, id=i, color=[255, 128, 0], type="", swap="")
        for i, name in enumerate(LANDMARKS)
    }
    return dict(
        type="BaseCocoStyleDataset",
        data_mode="topdown",
        data_prefix=dict(img="images/"),
        metainfo=dict(
            dataset_name="things",
            keypoint_info=info,
            skeleton_info={},
            joint_weights=[1.0] * len(LANDMARKS),
            sigmas=[],
        ),
    )
