"""A few generated samples in the layout that a stock MMPose config expects."""

import json
from pathlib import Path

import cv2
import numpy as np

SIDE = 96  # of an image, pixels


def write_stock_data(folder: Path, config, num_keypoints: int, count: int = 4) -> None:
    """Write what the config's train and validation data sets read.

    Paths are the config's own, relative to the folder that training runs in.
    """
    for loader in (config.train_dataloader, config.val_dataloader):
        dataset = loader.dataset
        root = folder / dataset.data_root
        images = root / dataset.data_prefix.img
        content = annotations_of(num_keypoints, count)
        for image in content["images"]:
            path = images / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            # One smooth picture in all: the search needs no meaning.
            picture = np.random.default_rng(0).integers(0, 255, (6, 6, 3), np.uint8)
            assert cv2.imwrite(str(path), cv2.resize(picture, (SIDE, SIDE)))
        ann_file = root / dataset.ann_file
        ann_file.parent.mkdir(parents=True, exist_ok=True)
        ann_file.write_text(json.dumps(content))
        if dataset.get("bbox_file"):
            boxes = folder / dataset.bbox_file
            boxes.parent.mkdir(parents=True, exist_ok=True)
            boxes.write_text(json.dumps(detections(content)))


def annotations_of(num_keypoints: int, count: int) -> dict:
    """COCO's json, with what MMPose's converters of face data sets add to it.

    Every third landmark of the first sample has no label.
    """
    rng = np.random.default_rng(num_keypoints)
    content = dict(
        images=[],
        annotations=[],
        categories=[dict(id=1, name="thing", keypoints=[], skeleton=[])],
    )
    for i in range(1, count + 1):
        points = rng.uniform(30, 66, (num_keypoints, 2)).round(2)
        shown = np.full((num_keypoints, 1), 2.0)
        if i == 1:
            shown[::3] = 0
        rows = np.concatenate([points, shown], 1) * (shown > 0)
        content["images"].append(
            dict(id=i, file_name=f"{i:012d}.jpg", width=SIDE, height=SIDE)
        )
        content["annotations"].append(
            dict(
                id=i,
                image_id=i,
                category_id=1,
                iscrowd=0,
                keypoints=rows.ravel().tolist(),
                num_keypoints=int((shown > 0).sum()),
                bbox=[24.0, 24.0, 48.0, 48.0],
                area=48.0 * 48.0,
                center=[48.0, 48.0],
                scale=0.3,
                box_size=48.0,
            )
        )
    return content


def detections(content: dict) -> list[dict]:
    """A detector's boxes, as COCO's evaluation takes them."""
    return [
        dict(image_id=a["image_id"], category_id=1, bbox=a["bbox"], score=0.9)
        for a in content["annotations"]
    ]
