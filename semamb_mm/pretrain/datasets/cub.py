"""Caltech-UCSD Birds-200-2011, for zero-shot retrieval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from mmpretrain.registry import DATASETS

from .zero_shot_dataset import ZeroShotDataset


@DATASETS.register_module()
class CUBRetrieval(ZeroShotDataset):
    """Caltech-UCSD Birds-200-2011 for zero-shot retrieval.

    The first 100 species (5,864 images) are for training, the other 100
    (5,924 images) for testing. ::

        CUB_200_2011
        ├── images/001.Black_footed_Albatross/....jpg
        ├── images.txt              image id, path below images/
        ├── image_class_labels.txt  image id, class id
        ├── classes.txt             class id, name
        └── bounding_boxes.txt      image id, x, y, width, height

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='CUBRetrieval',
            data_root='data/CUB_200_2011', split='train',
            pipeline=_base_.train_pipeline))
        ```

    Args:
        data_root (str): The folder ``CUB_200_2011``.
        crop (bool): With the bird's ``bbox``, for :class:`CropToBox`.
        **kwargs: :class:`RetrievalDataset`'s.

    Raises:
        FileNotFoundError: If one of the files is missing.
        ValueError: If one has a wrong line, or they contradict each other.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of ``images.txt``."""
        root = Path(self.data_root)
        images = read_table(root / "images.txt", str)
        labels = read_table(root / "image_class_labels.txt", int, same=images)
        classes = read_table(root / "classes.txt", str)
        if sorted(classes) != list(range(1, len(classes) + 1)):
            raise ValueError(
                f"{root / 'classes.txt'}: expected the class ids 1 to {len(classes)}"
            )
        samples = [
            dict(img_path=f"{root}/images/{name}", gt_label=labels[number][0] - 1)
            for number, (name,) in images.items()
        ]
        if self.crop:
            boxes = read_table(root / "bounding_boxes.txt", float, 4, same=images)
            for sample, number in zip(samples, images):
                x, y, width, height = boxes[number]
                sample["bbox"] = [x, y, x + width, y + height]
        return self.split_classes(
            samples,
            [classes[i][0] for i in sorted(classes)],
            str(root / "image_class_labels.txt"),
        )

    def corrected_list(self, changed: Mapping[str, str]) -> str:
        """Return ``image_class_labels.txt`` with other classes for some images."""
        root = Path(self.data_root)
        number = {
            name: i for i, (name,) in read_table(root / "classes.txt", str).items()
        }
        images = read_table(root / "images.txt", str)
        labels = read_table(root / "image_class_labels.txt", int, same=images)
        for i, (name,) in images.items():
            path = f"{root}/images/{name}"
            if path in changed:
                labels[i] = [number[changed[path]]]
        return "".join(f"{i} {label}\n" for i, (label,) in labels.items())


def read_table(
    path: Path, kind: type, values: int = 1, same: dict | None = None
) -> dict[int, list]:
    """Lines of a number and its values, by number.

    Args:
        path: The file.
        kind: Of the values.
        values: How many.
        same: A table that must have the same numbers.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: On a line of another form, a number given twice, or other
            numbers than those of ``same``.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; is data_root the unpacked data set?")
    table: dict[int, list] = {}
    for i, line in enumerate(
        path.read_text(encoding="utf-8", errors="replace").splitlines(), start=1
    ):
        key, *fields = line.split() or [""]
        try:
            if len(fields) != values or int(key) in table:
                raise ValueError
            table[int(key)] = [kind(field) for field in fields]
        except ValueError:
            raise ValueError(
                f"{path}, line {i}: expected a number not used before and {values} "
                f"{kind.__name__}, got {line!r}"
            ) from None
    if same is not None and (odd := table.keys() ^ same.keys()):
        raise ValueError(
            f"{path}: has {len(table)} images, images.txt has {len(same)}; image "
            f"{min(odd)} is in only one of them"
        )
    return table
