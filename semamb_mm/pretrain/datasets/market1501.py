"""Market-1501, for re-identification by single images."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from mmpretrain.registry import DATASETS

from semamb_mm.formats.contents import is_hidden

from .query_gallery_dataset import QueryGalleryDataset

FOLDERS = {
    "train": "bounding_box_train",
    "query": "query",
    "gallery": "bounding_box_test",
}
NAME = re.compile(r"(-1|\d{4})_c(\d)s\d_\d+_\d+\.jpg")
JUNK = -1


@DATASETS.register_module()
class Market1501(QueryGalleryDataset):
    """Market-1501, re-identification; an item is the image of a person.

    Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015. 751
    persons (12,936 images) are for training; 3,368 queries of 750 others are
    searched in 19,732 images. ::

        Market-1501-v15.09.15
        ├── bounding_box_train/0002_c1s1_000451_03.jpg
        ├── bounding_box_test/          the gallery
        └── query/

    A name gives the person and the camera. Of the gallery, person -1 is junk, which
    counts for nothing and is left out, and person 0 a distractor, which is nobody.
    The official evaluation takes the average precision by trapezoids:
    ``TrackletRetrievalMetric(average_precision='trapezoid')``.

    Data infos have ``camera_id``, ``tracklet_id`` (counted from 0, one an image),
    and ``role`` in testing. Training labels count from 0; test labels are the data
    set's own person numbers.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='Market1501',
            data_root='data/Market-1501-v15.09.15', split='train',
            pipeline=_base_.train_pipeline))
        ```

    Args:
        data_root (str): The folder ``Market-1501-v15.09.15``.
        **kwargs: :class:`QueryGalleryDataset`'s.

    Raises:
        FileNotFoundError: If a folder is missing.
        ValueError: If an image is not named as above.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of their names, queries before the gallery."""
        if self.part == "train":
            images = list_images(self.data_root, "train")
            persons = sorted({image.person for image in images} - {JUNK})
            self._metainfo["classes"] = tuple(f"{person:04d}" for person in persons)
            label = {person: i for i, person in enumerate(persons)}
            return [
                dict(
                    img_path=image.path,
                    gt_label=label[image.person],
                    camera_id=image.camera,
                    tracklet_id=number,
                )
                for number, image in enumerate(images)
                if image.person != JUNK
            ]
        images = [
            (role, image)
            for role in ("query", "gallery")
            for image in list_images(self.data_root, role)
        ]
        return [
            dict(
                img_path=image.path,
                gt_label=image.person,
                camera_id=image.camera,
                tracklet_id=number,
                role=role,
            )
            for number, (role, image) in enumerate(images)
            if image.person != JUNK
        ]


class PersonImage(NamedTuple):
    """What the name of an image says."""

    person: int
    camera: int
    path: str


def list_images(root: str, role: str) -> list[PersonImage]:
    """Return the images of a folder of ``FOLDERS``, by name; other files are not.

    Raises:
        FileNotFoundError, ValueError: As :class:`Market1501`.
    """
    folder = Path(root, FOLDERS[role])
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; is data_root the unpacked data?")
    images = []
    for name in sorted(os.listdir(folder)):
        # The archive itself holds a Thumbs.db.
        if not name.endswith(".jpg") or is_hidden(name):
            continue
        match = NAME.fullmatch(name)
        if match is None:
            raise ValueError(
                f"{folder / name}: expected a name such as 0002_c1s1_000451_03.jpg, "
                "person 0002 under camera 1"
            )
        images.append(PersonImage(int(match[1]), int(match[2]), f"{folder}/{name}"))
    return images
