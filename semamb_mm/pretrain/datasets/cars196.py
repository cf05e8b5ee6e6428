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
    the data set's folder itself. Kaggle's copies put each folder into one of its
    own name (``cars_train/cars_train/00001.jpg``) and the annotations into
    ``car_devkit/devkit``; both are found.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='CARS196Retrieval',
            data_root='data/cars196', split='train',
            pipeline=_base_.train_pipeline))
        ```

    Args:
        data_root (str): The data set's folder.
        crop (bool): With the car's ``bbox``, for :class:`CropToBox`.
        **kwargs: :class:`RetrievalDataset`'s.

    Raises:
        FileNotFoundError: If one of the files is missing, or the first image.
        ValueError: If one is damaged or has other contents.
    """

    def load_samples(self) -> list[dict]:
        """Images in the order of the annotations."""
        parts, names = _find_parts(Path(self.data_root))
        samples = [
            sample for part in parts for sample in _read_annotations(*part, self.crop)
        ]
        classes = [str(name) for name in read_mat(str(names), "class_names")]
        return self.split_classes(
            samples, classes, " and ".join(str(p[0]) for p in parts)
        )


def _find_parts(root: Path) -> tuple[list[tuple[Path, str, Path]], Path]:
    """Return annotations, their field of names and their images' folder; class names.

    ``cars_annos.mat`` is about ``car_ims``: where that is not, and a devkit is, as in
    Kaggle's copy, it is passed over.
    """
    whole, devkit = root / "cars_annos.mat", root / "devkit"
    if not devkit.is_dir():
        devkit = root / "car_devkit" / "devkit"
    if whole.is_file() and not (devkit.is_dir() and not (root / "car_ims").is_dir()):
        folder = _unnested(root / "car_ims").parent
        return [(whole, "relative_im_path", folder)], whole
    if not devkit.is_dir():
        raise FileNotFoundError(
            f"CARS196Retrieval: {root} holds neither cars_annos.mat nor devkit/"
        )
    test = devkit / LABELLED_TEST
    parts = [
        (devkit / "cars_train_annos.mat", "fname", _unnested(root / "cars_train")),
        (
            test if test.is_file() else root / LABELLED_TEST,
            "fname",
            _unnested(root / "cars_test"),
        ),
    ]
    return parts, devkit / "cars_meta.mat"


def _unnested(folder: Path) -> Path:
    """Return the folder of the same name inside a folder, or the folder itself."""
    inner = folder / folder.name
    return inner if inner.is_dir() else folder


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
