"""LPW, for video re-identification."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mmpretrain.registry import DATASETS

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

    Args:
        data_root (str): The folder ``pep_256x128``.
        split (str): ``train`` or ``test``.
        **kwargs: :class:`TrackletDataset`'s.

    Raises:
        FileNotFoundError: If a scene's folder is missing.
        ValueError: If a folder is not named as above, or is empty.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of scene, view, person and frame."""
        tracklets = [
            (scene, view, person, path)
            for scene in SCENES[self.split]
            for view, view_path in _numbered(
                Path(self.data_root, f"scen{scene}"), "view"
            )
            for person, path in _numbered(view_path, "")
        ]
        persons = sorted({(scene, person) for scene, _, person, _ in tracklets})
        first = 0 if self.split == "train" else 1
        label = {person: i for i, person in enumerate(persons, start=first)}
        if self.split == "train":
            self._metainfo["classes"] = tuple(f"scen{s}/{p}" for s, p in persons)
        samples = []
        for number, (scene, view, person, path) in enumerate(tracklets):
            info = dict(
                gt_label=label[scene, person],
                camera_id=10 * scene + view,
                tracklet_id=number,
            )
            if self.split == "test":
                info["role"] = "query" if view == QUERY_VIEW else "gallery"
            frames = [name for name in os.listdir(path) if name.endswith(".jpg")]
            if not frames:
                raise ValueError(f"{path}: expected the .jpg frames of a tracklet")
            frames.sort(key=lambda name: (len(name), name))
            samples += self.image_samples([f"{path}/{name}" for name in frames], **info)
        return samples


def _numbered(folder: Path, prefix: str) -> list[tuple[int, Path]]:
    """Numbers and paths of the folders ``<prefix><number>`` in a folder."""
    if not folder.is_dir():
        raise FileNotFoundError(f"no folder {folder}; is data_root pep_256x128?")
    found = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if not entry.is_dir():
                continue
            match = re.fullmatch(rf"{prefix}(\d+)", entry.name)
            if not match:
                raise ValueError(
                    f"{entry.path}: expected a folder named {prefix}<number> here"
                )
            found.append((int(match[1]), Path(entry.path)))
    if not found:
        raise ValueError(f"{folder}: expected folders named {prefix}<number>")
    return sorted(found)
