"""The X-rays of two dentists: files, folds, units.

``XRAY_ROOT`` holds ``annotator_1.json`` and ``annotator_2.json`` in COCO layout, with
``group`` and ``fold`` of every image.
"""

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from semamb_mm.formats.files import atomic_write

from .engine import Change

FOLDS = 5
SELLA, NASION = 0, 1


def on_images(root: Path, ann_file: Path, images: str) -> Change:
    """Train on a data set in COCO's layout."""

    def change(config) -> None:
        config.train_dataloader.dataset.update(
            data_root=str(root), ann_file=str(ann_file), data_prefix=dict(img=images)
        )

    return change


def xray_root() -> Path:
    """Return where the X-rays are.

    Raises:
        SystemExit: If XRAY_ROOT is no such folder.
    """
    root = Path(os.environ.get("XRAY_ROOT", ""))
    if not (root / "annotator_1.json").is_file():
        raise SystemExit("xrays needs XRAY_ROOT: a folder with annotator_1.json")
    return root.resolve()


def training_part(
    root: Path, annotator: int, without: int | Sequence[int], work_dir: Path
) -> Path:
    """Write the annotations of all folds but one, or some; return the file."""
    folds = [without] if isinstance(without, int) else list(without)
    content = json.loads((root / f"annotator_{annotator}.json").read_text())
    content["images"] = [i for i in content["images"] if i["fold"] not in folds]
    kept = {image["id"] for image in content["images"]}
    content["annotations"] = [
        a for a in content["annotations"] if a["image_id"] in kept
    ]
    name = f"annotator{annotator}_without{'_'.join(map(str, folds))}.json"
    with atomic_write(work_dir.resolve() / "xrays" / name) as file:
        json.dump(content, file)
    return work_dir.resolve() / "xrays" / name


def landmarks_of(content: dict) -> tuple[dict[int, np.ndarray], dict[int, int]]:
    """Return points ``(K, 3)`` and group of each image, by the annotation's id."""
    groups = {image["id"]: image["group"] for image in content["images"]}
    points, of = {}, {}
    for annotation in content["annotations"]:
        points[annotation["id"]] = np.reshape(annotation["keypoints"], (-1, 3))
        of[annotation["id"]] = groups[annotation["image_id"]]
    return points, of


def without_offsets(differences: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Take each landmark's mean over pictures out of ``(N, K, 2)``."""
    weights = seen[..., None]
    mean = (differences * weights).sum(0) / weights.sum(0).clip(1)
    return differences - mean


def sella_nasion(points: np.ndarray) -> np.ndarray:
    """Return the distance ``(N,)`` of the first two landmarks of ``(N, K, 2 or 3)``."""
    return np.linalg.norm(points[:, SELLA, :2] - points[:, NASION, :2], axis=-1)
