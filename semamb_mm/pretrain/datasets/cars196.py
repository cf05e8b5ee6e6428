"""Stanford Cars, for zero-shot retrieval."""

from __future__ import annotations

from pathlib import Path

from mmpretrain.registry import DATASETS

from semamb_mm.formats.matlab import read_mat

from .zero_shot_dataset import ZeroShotDataset

LABELLED_TEST = "cars_test_annos_withlabels.mat"
BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


@DATASETS.register_module()
class CARS196Retrieval(ZeroShotDataset):
    """Stanford Cars for zero-shot retrieval.

    The first 98 models (8,054 images) are for training, the other 98 (8,131
    images) for testing. Either of the layouts in which it is published: ::

        cars196                     cars196
        ├── cars_annos.mat          ├── devkit/cars_meta.mat
        └── car_ims/000001.jpg      ├── devkit/cars_train_annos.mat
                                    ├── devkit/cars_test_annos_withlabels.mat
                                    ├── cars_train/00001.jpg
                                    └── cars_test/00001.jpg

    ``cars_test_annos_withlabels.mat``, a separate download, may also lie in
    the data set's folder itself.

    Args:
        data_root (str): The data set's folder.
        crop (bool): With the car's ``bbox``, for :class:`CropToBox`.
        **kwargs: :class:`RetrievalDataset`'s.

    Raises:
        FileNotFoundError: If one of the files is missing.
        ValueError: If one is damaged or has other contents.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of the annotations."""
        root = Path(self.data_root)
        whole = root / "cars_annos.mat"
        if whole.is_file():
            parts, names = [(whole, "relative_im_path", root)], whole
        elif (root / "devkit").is_dir():
            test = root / "devkit" / LABELLED_TEST
            parts = [
                (
                    root / "devkit" / "cars_train_annos.mat",
                    "fname",
                    root / "cars_train",
                ),
                (
                    test if test.is_file() else root / LABELLED_TEST,
                    "fname",
                    root / "cars_test",
                ),
            ]
            names = root / "devkit" / "cars_meta.mat"
        else:
            raise FileNotFoundError(
                f"CARS196Retrieval: {root} holds neither cars_annos.mat nor devkit/"
            )
        samples = [
            sample for part in parts for sample in _read_annotations(*part, self.crop)
        ]
        classes = [str(name) for name in read_mat(str(names), "class_names")]
        return self.split_classes(
            samples, classes, " and ".join(str(p[0]) for p in parts)
        )


def _read_annotations(path: Path, name: str, folder: Path, crop: bool) -> list[dict]:
    annotations = read_mat(str(path), "annotations")
    columns = (name, "class", *BOX)
    try:
        table = [annotations[column] for column in columns]
        samples = []
        for image, label, *box in zip(*table, strict=True):
            sample = dict(img_path=f"{folder}/{image}", gt_label=int(label) - 1)
            # Matlab counts pixels from 1 and includes the last one.
            x1, y1, x2, y2 = map(float, box)
            if crop:
                sample["bbox"] = [x1 - 1, y1 - 1, x2, y2]
            samples.append(sample)
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(
            f"{path}: 'annotations' needs the fields {columns}, one value each for "
            f"every image ({type(error).__name__}: {error})"
        ) from error
    return samples
