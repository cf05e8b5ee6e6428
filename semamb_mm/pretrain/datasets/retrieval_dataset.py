"""What all retrieval data sets share: training and test classes are disjoint."""

from __future__ import annotations

from abc import abstractmethod
from pathlib import Path

import numpy as np
from mmpretrain.datasets import BaseDataset


class RetrievalDataset(BaseDataset):
    """Base of the data sets whose training and test classes are disjoint.

    A subclass gives the samples in :meth:`load_samples`.

    Args:
        data_root (str): The data set's folder.
        split (str): One of ``SPLITS``.
        label_noise (float): Share of samples given a wrong label, drawn
            uniformly from the other classes; for experiments. Such a data
            set keeps the right one of every sample as ``true_label``, which
            no stock transform passes on to training.
        noise_seed (int): Chooses them.
        **kwargs: The rest of :class:`mmpretrain.datasets.BaseDataset`'s.

    Raises:
        ValueError: On an unknown split, or a share outside [0, 1).
    """

    SPLITS: tuple[str, ...] = ("train", "test")

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        label_noise: float = 0.0,
        noise_seed: int = 0,
        **kwargs,
    ) -> None:
        name = type(self).__name__
        if split not in self.SPLITS:
            raise ValueError(f"{name}: split is one of {self.SPLITS}, not {split!r}")
        if not 0 <= label_noise < 1:
            raise ValueError(f"{name}: label_noise lies in [0, 1), not {label_noise}")
        self.split = split
        self.label_noise = label_noise
        self.noise_seed = noise_seed
        kwargs.setdefault("ann_file", "")
        kwargs.setdefault("test_mode", split != "train")
        super().__init__(data_root=data_root, **kwargs)

    @abstractmethod
    def load_samples(self) -> list[dict]:
        """Data infos with ``img_path`` and ``gt_label``, in a fixed order."""

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
        if self.label_noise:
            plant_wrong_labels(samples, self.label_noise, self.noise_seed)
        return samples


def plant_wrong_labels(samples: list[dict], share: float, seed: int) -> None:
    """Give ``round(share * n)`` samples another class's label, in place.

    Every sample gets its right one as ``true_label``.
    """
    rng = np.random.default_rng(seed)
    labels = np.array([sample["gt_label"] for sample in samples])
    classes = np.unique(labels)
    if len(classes) < 2:
        raise ValueError("wrong labels need at least 2 classes to choose from")
    wrong = rng.choice(len(samples), round(share * len(samples)), replace=False)
    for sample, label in zip(samples, labels, strict=True):
        sample["true_label"] = int(label)
    for index in wrong:
        others = classes[classes != labels[index]]
        samples[index]["gt_label"] = int(rng.choice(others))
