"""In-shop clothes, for retrieval of queries in a gallery."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmpretrain.registry import DATASETS

from semamb_mm.formats.tables import read_columns

from .query_gallery_dataset import QueryGalleryDataset

COLUMNS = ("image_name", "item_id", "evaluation_status")
STATUSES = ("train", "query", "gallery")


@DATASETS.register_module()
class InShopRetrieval(QueryGalleryDataset):
    """In-shop Clothes Retrieval; a class is an item of clothing.

    Liu et al., "DeepFashion", CVPR 2016. 3,997 items (25,882 images) are for
    training; 14,218 queries of 3,985 others are searched in 12,612 images. ::

        In-shop Clothes Retrieval Benchmark
        ├── Eval/list_eval_partition.txt    (or in Anno, or beside Img)
        └── Img/img/WOMEN/Dresses/id_00000002/02_1_front.jpg    (or img/WOMEN/...)

    Nothing is junk: queries and gallery count as two cameras, so that CMC-k of
    ``TrackletRetrievalMetric`` is the benchmark's Recall@k. MMPretrain's own
    ``InShop`` has the same images, for its metric with a prototype.

    Data infos have ``camera_id``, ``tracklet_id`` (one an image) and ``role`` in
    testing. Training labels count from 0, test labels from 1.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='InShopRetrieval',
            data_root='data/inshop', split='train',
            pipeline=_base_.train_pipeline))
        ```

    Args:
        data_root (str): The benchmark's folder.
        **kwargs: :class:`QueryGalleryDataset`'s.

    Raises:
        FileNotFoundError: If the list is missing, or the first image.
        ValueError: If the list has a wrong line, or another number of them than it
            says.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of the list."""
        rows = read_partition(self.data_root)
        in_test = self.part == "test"
        rows = [row for row in rows if (row[2] != "train") == in_test]
        items = sorted({item for _, item, _ in rows})
        if not in_test:
            self._metainfo["classes"] = tuple(items)
        label = {item: i for i, item in enumerate(items, start=int(in_test))}
        samples = []
        for number, (path, item, status) in enumerate(rows):
            info = dict(img_path=path, gt_label=label[item], tracklet_id=number)
            info["camera_id"] = int(status == "gallery")
            samples.append(dict(info, role=status) if in_test else info)
        return samples

    def _divide(self, samples: list[dict]) -> list[dict]:
        samples = super()._divide(samples)
        for sample in samples:
            sample["camera_id"] = int(sample.get("role") == "gallery")
        return samples

    def corrected_list(self, changed: Mapping[str, str]) -> str:
        """Return ``list_eval_partition.txt`` with other items for some images."""
        path, folder = find_partition(self.data_root)
        rows = read_columns(path, COLUMNS, count_first=True)
        lines = [
            f"{image} {changed.get(f'{folder}/{image}', item)} {status}\n"
            for image, item, status in rows
        ]
        return f"{len(rows)}\n{' '.join(COLUMNS)}\n{''.join(lines)}"


def find_partition(root: str) -> tuple[Path, Path]:
    """Return the list, whether it is there or not, and the folder it speaks of."""
    name = "list_eval_partition.txt"
    places = [Path(root, folder, name) for folder in ("Eval", "Anno", "")]
    path = next((place for place in places if place.is_file()), places[0])
    folder = Path(root, "Img")
    return path, folder if folder.is_dir() else Path(root)


def read_partition(root: str) -> list[tuple[str, str, str]]:
    """Return path, item and status of every image.

    Raises:
        FileNotFoundError, ValueError: As :class:`InShopRetrieval`.
    """
    path, folder = find_partition(root)
    rows = read_columns(path, COLUMNS, count_first=True)
    for number, row in enumerate(rows, start=3):
        if row[2] not in STATUSES:
            raise ValueError(
                f"{path}, line {number}: evaluation_status is one of {STATUSES}, not "
                f"{row[2]!r}"
            )
    return [(f"{folder}/{image}", item, status) for image, item, status in rows]
