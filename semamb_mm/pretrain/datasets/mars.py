"""MARS, for video re-identification."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mmpretrain.registry import DATASETS

from semamb_mm.formats.matlab import read_mat_table

from .tracklet_dataset import TrackletDataset

JUNK = -1


@dataclass
class Tracklet:
    """Images of one person from one camera."""

    person: int
    camera: int
    images: list[str]


@DATASETS.register_module()
class MARS(TrackletDataset):
    """MARS, video re-identification; an item is an image of a tracklet.

    Zheng et al., ECCV 2016. The ``info`` folder is published apart from the
    images, as github.com/liangzheng06/MARS-evaluation. ::

        mars
        ├── bbox_train/0001/0001C1T0001F001.jpg
        ├── bbox_test/
        └── info/{train_name.txt, test_name.txt, tracks_train_info.mat,
                  tracks_test_info.mat, query_IDX.mat}

    Data infos have ``camera_id``, ``tracklet_id`` (counted from 0 in the
    split's own list), and ``role`` in testing: ``query`` for the 1,980
    tracklets of ``query_IDX.mat``, else ``gallery``. Training labels count
    from 0; test labels are MARS's own person numbers, of which 0 is a
    distractor, in the gallery only. Junk (person -1) is left out. The
    official evaluation searches the queries in all test tracklets, the other
    queries among them: ``TrackletRetrievalMetric(queries_in_gallery=True)``.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='MARS',
            data_root='data/mars', split='train',
            pipeline=_base_.train_pipeline))
        ```

    Args:
        data_root (str): The data set's folder.
        **kwargs: :class:`TrackletDataset`'s.

    Raises:
        FileNotFoundError: If one of the lists is missing.
        ValueError: If a list is damaged, or they contradict each other.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of the lists."""
        tracklets = read_tracklets(self.data_root, self.part)
        if self.part == "train":
            persons = sorted({t.person for t in tracklets} - {JUNK})
            self._metainfo["classes"] = tuple(f"{person:04d}" for person in persons)
            labels = {person: label for label, person in enumerate(persons)}
            queries = set()
        else:
            labels = {t.person: t.person for t in tracklets}
            queries = read_queries(self.data_root, tracklets)
        samples = []
        for number, tracklet in enumerate(tracklets):
            if tracklet.person == JUNK:
                continue
            info = dict(
                gt_label=labels[tracklet.person],
                camera_id=tracklet.camera,
                tracklet_id=number,
            )
            if self.part == "test":
                info["role"] = "query" if number in queries else "gallery"
            samples += self.image_samples(tracklet.images, **info)
        return samples


def read_tracklets(root: str, split: str) -> list[Tracklet]:
    """All tracklets of a split, junk and distractors among them.

    Raises:
        FileNotFoundError, ValueError: As :class:`MARS`.
    """
    info = Path(root, "info")
    names_path = info / f"{split}_name.txt"
    if not names_path.is_file():
        raise FileNotFoundError(f"no file {names_path}; expected one image name a line")
    names = names_path.read_text(encoding="utf-8", errors="replace").split()
    path = info / f"tracks_{split}_info.mat"
    table = read_mat_table(str(path), f"track_{split}_info", columns=4)
    tracklets = []
    for i, (first, last, person, camera) in enumerate(table.tolist(), start=1):
        if not 1 <= first <= last <= len(names):
            raise ValueError(
                f"{path}: tracklet {i} has the images {first} to {last}; {names_path} "
                f"has 1 to {len(names)}"
            )
        folder = "00-1" if person == JUNK else f"{person:04d}"
        images = names[first - 1 : last]
        for name in images:
            if not name.startswith(f"{folder}C{camera}T"):
                raise ValueError(
                    f"{path}: tracklet {i} is person {person}, camera {camera}; "
                    f"{names_path} has {name} in it, not {folder}C{camera}T....jpg"
                )
        paths = [f"{root}/bbox_{split}/{folder}/{name}" for name in images]
        tracklets.append(Tracklet(person, camera, paths))
    return tracklets


def read_queries(root: str, tracklets: list[Tracklet]) -> set[int]:
    """Indices, from 0, of the query tracklets among the test tracklets.

    Raises:
        FileNotFoundError, ValueError: As :class:`MARS`.
    """
    path = Path(root, "info", "query_IDX.mat")
    numbers = read_mat_table(str(path), "query_IDX", columns=1).ravel()
    for number in numbers.tolist():
        if not 1 <= number <= len(tracklets) or tracklets[number - 1].person <= 0:
            raise ValueError(
                f"{path}: query {number} is not the number of a person's tracklet "
                f"among the {len(tracklets)} of tracks_test_info.mat"
            )
    return set((numbers - 1).tolist())
