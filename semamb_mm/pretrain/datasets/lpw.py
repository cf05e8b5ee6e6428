"""LPW, for video re-identification."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from mmpretrain.registry import DATASETS

from semamb_mm.formats.contents import is_hidden

from .tracklet_dataset import TrackletDataset

SCENES = dict(train=(2, 3), test=(1,))
# Every person of scene 1 walks through view 2.
QUERY_VIEW = 2


@DATASETS.register_module()
class LPW(TrackletDataset):
    """Labeled Pedestrian in the Wild, video re-identification.

    Song et al., "Region-based Quality Estimation Network for Large-scale
    Person Re-identification", AAAI 2018; an item is an image of a tracklet.
    ::

        pep_256x128
        ├── scen1/view1/<person>/<frame>.jpg    3 views
        ├── scen2/                              4 views
        └── scen3/                              4 views

    A person has one tracklet in a view; the same number in another view of
    the scene is the same person, in another scene a different one. Scenes 2
    and 3 are for training (1,975 persons), scene 1 for testing (756), its
    view 2 the queries and its views 1 and 3 the gallery, as public
    re-identification code splits it; the data set brings no lists.

    Data infos have ``camera_id`` (ten times the scene, plus the view),
    ``tracklet_id``, and ``role`` in testing. Labels count from 0 in training
    and from 1 in testing, where 0 would be a distractor.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='LPW',
            data_root='data/pep_256x128', split='train',
            pipeline=_base_.train_pipeline))
        ```

    Args:
        data_root (str): The folder ``pep_256x128``.
        **kwargs: :class:`TrackletDataset`'s.

    Raises:
        FileNotFoundError: If a scene's folder is missing.
        ValueError: If a folder is not named as above, or is empty. Hidden ones
            are passed over.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of scene, view, person and frame."""
        tracklets, odd = read_tracklets(self.data_root, self.part)
        if odd:
            raise ValueError(odd[0])
        persons = sorted({(t.scene, t.person) for t in tracklets})
        first = 0 if self.part == "train" else 1
        label = {person: i for i, person in enumerate(persons, start=first)}
        if self.part == "train":
            self._metainfo["classes"] = tuple(f"scen{s}/{p}" for s, p in persons)
        samples = []
        for number, tracklet in enumerate(tracklets):
            info = dict(
                gt_label=label[tracklet.scene, tracklet.person],
                camera_id=10 * tracklet.scene + tracklet.view,
                tracklet_id=number,
            )
            if self.part == "test":
                info["role"] = "query" if tracklet.view == QUERY_VIEW else "gallery"
            samples += self.image_samples(tracklet.images, **info)
        return samples


class Tracklet(NamedTuple):
    """Images of one person in one view."""

    scene: int
    view: int
    person: int
    images: list[str]


def read_tracklets(root: str, split: str) -> tuple[list[Tracklet], list[str]]:
    """Return a split's tracklets, and what of the folders is not as published.

    Hidden files and folders are passed over.

    Raises:
        FileNotFoundError: If a scene's folder is missing.
    """
    odd: list[str] = []
    tracklets = []
    for scene in SCENES[split]:
        for view, folder in _numbered(Path(root, f"scen{scene}"), "view", odd):
            for person, path in _numbered(folder, "", odd):
                frames = [
                    name
                    for name in os.listdir(path)
                    if name.endswith(".jpg") and not is_hidden(name)
                ]
                if not frames:
                    odd.append(f"{path}: expected the .jpg frames of a tracklet")
                frames.sort(key=lambda name: (len(name), name))
                images = [f"{path}/{name}" for name in frames]
                tracklets.append(Tracklet(scene, view, person, images))
    return tracklets, odd


def _numbered(folder: Path, prefix: str, odd: list[str]) -> list[tuple[int, Path]]:
    """Return numbers and paths of the folders ``<prefix><number>`` in a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; is data_root pep_256x128?")
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir() or is_hidden(entry.name):
                continue
            match = re.fullmatch(rf"{prefix}(\d+)", entry.name)
            if match:
                found.append((int(match[1]), Path(entry.path)))
            else:
                odd.append(
                    f"{entry.path}: expected a folder named {prefix}<number> here"
                )
    if not found:
        odd.append(f"{folder}: expected folders named {prefix}<number>")
    return sorted(found)
