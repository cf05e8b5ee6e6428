"""What all retrieval data sets share: training and test classes are disjoint."""

from __future__ import annotations

import csv
import io
import os
from abc import abstractmethod
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmpretrain.datasets import BaseDataset

from .label_noise import NOISES

CORRECTIONS = ("image", "class")


class RetrievalDataset(BaseDataset):
    """Base of the data sets whose training and test classes are disjoint.

    A subclass gives the samples in :meth:`load_samples`. To choose a checkpoint,
    or anything else, without looking at the test classes, train on
    ``train_only`` and validate on ``val``: together they are ``train``. Held out
    for ``val`` are the last training classes, as the data sets' own protocols
    hold out the last classes for testing.

    Args:
        data_root (str): The data set's folder.
        split (str): One of ``SPLITS``: ``train`` (all training classes),
            ``train_only``, ``val`` or ``test``.
        label_noise (float): Share of samples given a wrong label; for
            experiments. Such a data set keeps the right one of every sample
            as ``true_label``, which no stock transform passes on to training.
        noise_kind (str): ``'symmetric'``, see
            :func:`~semamb_mm.pretrain.datasets.label_noise.plant_wrong_labels`, or
            ``'small_cluster'``, see
            :func:`~semamb_mm.pretrain.datasets.label_noise.plant_small_clusters`.
            Defaults to ``'symmetric'``.
        noise_seed (int): Chooses them.
        val_share (float): Share of the training classes in ``val``.
        corrections (str, optional): csv file with the columns ``image``, its path
            below ``data_root``, and ``class``, the name of the class that it is given
            instead of the data set's own; as ``tools/analysis/audit_labels.py
            --corrected`` writes it. Of training classes alone.
        **kwargs: The rest of :class:`mmpretrain.datasets.BaseDataset`'s.

    Raises:
        FileNotFoundError: If the first image is missing.
        ValueError: On an unknown split or kind of noise, a share outside [0, 1),
            classes that cannot be divided, or corrections of an image or to a class
            that is not in training.
    """

    SPLITS: tuple[str, ...] = ("train", "train_only", "val", "test")

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        label_noise: float = 0.0,
        noise_seed: int = 0,
        val_share: float = 0.2,
        noise_kind: str = "symmetric",
        corrections: str | None = None,
        **kwargs,
    ) -> None:
        name = type(self).__name__
        if split not in self.SPLITS:
            raise ValueError(f"{name}: split is one of {self.SPLITS}, not {split!r}")
        if not 0 <= label_noise < 1:
            raise ValueError(f"{name}: label_noise lies in [0, 1), not {label_noise}")
        if noise_kind not in NOISES:
            raise ValueError(
                f"{name}: noise_kind is one of {tuple(NOISES)}, not {noise_kind!r}"
            )
        if not 0 < val_share < 1:
            raise ValueError(f"{name}: val_share lies in (0, 1), not {val_share}")
        self.split = split
        self.label_noise = label_noise
        self.noise_seed = noise_seed
        self.noise_kind = noise_kind
        if corrections is not None and split == "test":
            raise ValueError(
                f"{name}: corrections={corrections!r} is of training images, and split "
                "is 'test'; test labels stay as they are"
            )
        self.val_share = val_share
        self.corrections = corrections
        self.corrected: dict[str, str] = {}  # image to class, of corrections
        kwargs.setdefault("ann_file", "")
        kwargs.setdefault("test_mode", split in ("val", "test"))
        super().__init__(data_root=data_root, **kwargs)

    @property
    def part(self) -> str:
        """Which of the data set's own two parts the split is in: train or test."""
        return "test" if self.split == "test" else "train"

    @abstractmethod
    def load_samples(self) -> list[dict]:
        """Data infos of :attr:`part` with ``img_path`` and ``gt_label``, in order.

        Training labels count the classes of the metainfo.
        """

    def class_groups(self, classes: Sequence[str]) -> list:
        """Return a group for each training class; the last groups make ``val``."""
        return list(range(len(classes)))

    def corrected_list(self, changed: Mapping[str, str]) -> str:
        """Return the data set's own list of labels with other classes for some images.

        A data set whose labels are not in a list of text, but in names or in Matlab
        files, gives what its ``corrections`` reads.

        Args:
            changed: Image to the name of its class, one of the metainfo's.
        """
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(CORRECTIONS)
        writer.writerows(
            (self._below_root(path), name) for path, name in changed.items()
        )
        return text.getvalue()

    def _below_root(self, path: str) -> str:
        # Either may be in a file backend's form, such as zip://data/small1.zip/a.png.
        path, root = (str(p).rpartition("://")[2] for p in (path, self.data_root))
        return Path(os.path.relpath(path, root)).as_posix()

    def _correct(self, samples: list[dict]) -> None:
        """Give images the classes that ``corrections`` says."""
        label = {name: i for i, name in enumerate(self._metainfo["classes"])}
        of = {self._below_root(sample["img_path"]): sample for sample in samples}
        for line, (image, name) in read_corrections(self.corrections):
            if image not in of or name not in label:
                what = f"image {image!r}" if image not in of else f"class {name!r}"
                raise ValueError(
                    f"{self.corrections}, line {line}: {what} is not in training; "
                    f"expected the corrections of {self.data_root}"
                )
            of[image]["gt_label"] = label[name]
            self.corrected[of[image]["img_path"]] = name

    def load_data_list(self) -> list[dict]:
        """The samples, some with wrong labels if asked for."""
        samples = self.load_samples()
        if not samples:
            raise ValueError(
                f"{type(self).__name__}: no image of split {self.split!r} "
                f"under {self.data_root}"
            )
        first = str(samples[0]["img_path"])
        if "://" not in first and not Path(first).is_file():
            raise FileNotFoundError(
                f"{type(self).__name__}: no image {first}, the first of split "
                f"{self.split!r}; is data_root={self.data_root!r} the unpacked data "
                "set? tools/check_dataset.py names all that is missing"
            )
        if self.corrections is not None:
            self._correct(samples)
        if self.split in ("train_only", "val"):
            samples = self._divide(samples)
        if self.label_noise:
            plant = NOISES[self.noise_kind]
            plant(samples, self.label_noise, self.noise_seed)
        return samples

    def _divide(self, samples: list[dict]) -> list[dict]:
        """Return the samples of one side of the training classes, labelled from 0."""
        classes = self._metainfo["classes"]
        groups = self.class_groups(classes)
        try:
            held_out = last_groups(groups, self.val_share)
        except ValueError as error:
            raise ValueError(f"{type(self).__name__}: {error}") from error
        kept = [
            label
            for label, group in enumerate(groups)
            if (group in held_out) == (self.split == "val")
        ]
        self._metainfo["classes"] = tuple(classes[label] for label in kept)
        new = {label: i for i, label in enumerate(kept)}
        return [
            dict(sample, gt_label=new[sample["gt_label"]])
            for sample in samples
            if sample["gt_label"] in new
        ]


def read_corrections(path: str) -> list[tuple[int, list[str]]]:
    """Return the rows of a file of corrections, each with the number of its line.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a line has other cells.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"corrections: no file {path}")
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(enumerate(csv.reader(file), start=1))
    if not rows or rows[0][1] != list(CORRECTIONS):
        raise ValueError(f"{path}, line 1: expected {','.join(CORRECTIONS)!r}")
    for number, row in rows[1:]:
        if len(row) != len(CORRECTIONS):
            raise ValueError(f"{path}, line {number}: expected 2 cells, got {row}")
    return rows[1:]


def custom_list(dataset: BaseDataset, changed: Mapping[str, str]) -> str:
    """Return a list for MMPretrain's ``CustomDataset(ann_file=...)``.

    Args:
        dataset: Of its images paths and labels are listed.
        changed: Image to the name of its class.
    """
    classes = dataset.metainfo["classes"]
    label = {name: number for number, name in enumerate(classes)}
    lines = []
    for index in range(len(dataset)):
        info = dataset.get_data_info(index)
        name = changed.get(info["img_path"], classes[info["gt_label"]])
        path = info["img_path"]
        path = path if "://" in path else Path(path).absolute()
        lines.append(f"{path} {label[name]}\n")
    return "".join(lines)


def last_groups(groups: Sequence, share: float) -> set:
    """Return the last groups that together hold about this share of the classes.

    Args:
        groups: The group of each class; they are taken in sorted order.
        share: Of the classes. At least one group is taken, and one left.

    Raises:
        ValueError: If there is only one group.

    Example:
        >>> sorted(last_groups(["Greek", "Greek", "Latin", "Korean", "Korean"], 0.2))
        ['Latin']
    """
    names = sorted(set(groups))
    if len(names) < 2:
        raise ValueError(
            "val needs two groups of training classes to divide, the data set has "
            f"{len(names)}"
        )
    sizes = Counter(groups)
    counts = np.cumsum([sizes[name] for name in reversed(names)])[:-1]
    taken = 1 + int(abs(counts / len(groups) - share).argmin())
    return set(names[-taken:])
