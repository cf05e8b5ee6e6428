from __future__ import annotations

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
        labels = read_table(root / "image_class_labels.txt", int)
        classes = read_table(root / "classes.txt", str)
        _same_keys(images, labels, root / "images.txt", root / "image_class_labels.txt")
        if sorted(classes) != list(range(1, len(classes) + 1)):
            raise ValueError(
                f"{root / 'classes.txt'}: expected the class ids 1 to {len(classes)}"
            )
        samples = [
            dict(img_path=f"{root}/images/{name}", gt_label=labels[number][0] - 1)
            for number, (name,) in images.items()
        ]
        if self.crop:
            path = root / "bounding_boxes.txt"
            boxes = read_table(path, float, values=4)
            _same_keys(images, boxes, root / "images.txt", path)
            for sample, number in zip(samples, images):
                x, y, width, height = boxes[number]
                sample["bbox"] = [x, y, x + width, y + height]
        return self.split_classes(
            samples,
            [classes[i][0] for i in sorted(classes)],
            str(root / "image_class_labels.txt"),
        )


def read_table(path: Path, kind: type, values: int = 1) -> dict[int, list]:
    """Lines of a number and its values, by number.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: On a line of another form, or a number given twice.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; is data_root the unpacked data set?")
    table: dict[int, list] = {}
    for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        key, *fields = line.split()
        try:
            if len(fields) != values or int(key) in table:
                raise ValueError
            table[int(key)] = [kind(field) for field in fields]
        except ValueError:
            raise ValueError(
                f"{path}, line {i}: expected a number not used before and {values} "
                f"{kind.__name__}, got {line!r}"
            ) from None
    return table


def _same_keys(first: dict, second: dict, first_path: Path, second_path: Path) -> None:
    if odd := first.keys() ^ second.keys():
        where = second_path if min(odd) in first else first_path
        raise ValueError(
            f"{where} lacks {len(odd - (second if where == second_path else first).keys())}"
            f" of the images of the other list, the first of them {min(odd)}"
        )
