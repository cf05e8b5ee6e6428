"""A data set wrapper: several frames of one tracklet are one sample."""

from __future__ import annotations

import copy

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmpretrain.registry import DATASETS


@DATASETS.register_module()
class TrackletFrames:
    """Several frames of one tracklet as one sample.

    Wraps a data set whose items are images of tracklets, such as :class:`MARS`. A
    sample has ``inputs`` ``(num_frames, C, H, W)`` and the data sample of its first
    frame; each frame has gone through the wrapped data set's own pipeline. The model
    needs :class:`TrackletDataPreprocessor` and :class:`TrackletPooling`.

    In training a sample is a tracklet: it is cut into as many stretches as frames
    are wanted, and a frame of each is drawn (Li et al., "Diversity Regularized
    Spatiotemporal Attention for Video-based Person Re-identification", CVPR 2018).
    In test mode a tracklet of n frames is ``ceil(n / num_frames)`` samples, which
    together have all its frames, each spread over the whole of it; metrics such as
    ``TrackletRetrievalMetric`` pool the samples of a tracklet.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='TrackletFrames', num_frames=4,
            dataset=dict(
                type='MARS', data_root='data/mars', split='train',
                pipeline=_base_.train_pipeline)))
        ```

    Args:
        dataset (dict | BaseDataset): Its data infos have ``tracklet_id`` and
            ``gt_label``.
        num_frames (int): Frames of a sample. Defaults to 4.
        lazy_init (bool): Whether to read the data set only when it is used.

    Raises:
        KeyError: If the data set has no tracklets.
        ValueError: If ``num_frames`` is not positive, or a tracklet's images have
            several labels.
    """

    def __init__(
        self, dataset: dict | BaseDataset, num_frames: int = 4, lazy_init: bool = False
    ) -> None:
        if num_frames < 1:
            raise ValueError(
                f"TrackletFrames: num_frames must be positive, got {num_frames}"
            )
        self.dataset = DATASETS.build(dataset) if isinstance(dataset, dict) else dataset
        self.num_frames = num_frames
        self._samples: list[np.ndarray] | None = None
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """The wrapped data set's."""
        return copy.deepcopy(self.dataset.metainfo)

    def full_init(self) -> None:
        """Read the data set, and find its tracklets."""
        if self._samples is not None:
            return
        self.dataset.full_init()
        tracklets = self._find_tracklets()
        if self.dataset.test_mode:
            tracklets = [
                clip for frames in tracklets for clip in _clips(frames, self.num_frames)
            ]
        self._samples = tracklets

    def _find_tracklets(self) -> list[np.ndarray]:
        """Return the indices of each tracklet's frames."""
        members: dict[tuple, list[int]] = {}
        labels: dict[tuple, int] = {}
        for index in range(len(self.dataset)):
            info = self.dataset.get_data_info(index)
            if "tracklet_id" not in info:
                raise KeyError(
                    f"TrackletFrames: {type(self.dataset).__name__} has no "
                    "'tracklet_id' in its data infos; expected a data set of tracklets"
                )
            key = (info.get("role"), info["tracklet_id"])
            if labels.setdefault(key, info["gt_label"]) != info["gt_label"]:
                raise ValueError(
                    f"TrackletFrames: tracklet {key[1]} has the labels {labels[key]} "
                    f"and {info['gt_label']}. All images of a tracklet need "
                    "one: label_noise, which is planted image by image, and "
                    "corrections of some of its images cannot be used here"
                )
            members.setdefault(key, []).append(index)
        return [np.array(indices) for indices in members.values()]

    @property
    def samples(self) -> list[np.ndarray]:
        """Indices of the frames that each sample is made of, or drawn from."""
        self.full_init()
        assert self._samples is not None
        return self._samples

    def get_gt_labels(self) -> np.ndarray:
        """Return the samples' labels."""
        labels = self.dataset.get_gt_labels()
        return np.array([labels[frames[0]] for frames in self.samples])

    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of a sample's first frame."""
        return self.dataset.get_data_info(int(self.samples[idx][0]))

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, idx: int) -> dict:
        frames = self.samples[idx]
        if not self.dataset.test_mode:
            frames = _draw(frames, self.num_frames)
        parts = [self.dataset[int(frame)] for frame in frames]
        inputs = torch.stack([part["inputs"] for part in parts])
        return dict(parts[0], inputs=inputs)


def _draw(frames: np.ndarray, count: int) -> np.ndarray:
    """Return a frame of each of ``count`` stretches of equal length, in order."""
    position = (np.arange(count) + np.random.random_sample(count)) / count
    return frames[(position * len(frames)).astype(int)]


def _clips(frames: np.ndarray, count: int) -> list[np.ndarray]:
    """Return all frames in clips of ``count``; frames are repeated to fill the last."""
    number = -(-len(frames) // count)
    positions = np.linspace(0, len(frames) - 1, number * count).round().astype(int)
    return [frames[positions[start::number]] for start in range(number)]
