"""The samples of a train data set, under any nesting of wrappers."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from mmengine.dataset import BaseDataset

from .keys import sample_key
from .store import LatentTargetStore


def build_store(dataset) -> LatentTargetStore:
    """The store of a train data set, every target at its annotation.

    Args:
        dataset: A data set, or any nesting of MMEngine's and MMPose's
            wrappers (``ConcatDataset``, ``RepeatDataset``,
            ``CombinedDataset``, ...). A repeated sample is one sample.

    Raises:
        ValueError: If landmark counts differ, an annotation is not finite,
            or two different samples share a key.
    """
    keys, annotations, visible, frames = [], [], [], []
    for leaf, i in located_samples(dataset):
        info = _annotation(leaf, i)
        key = sample_key(info, leaf)
        keypoints = np.asarray(info["keypoints"], dtype=np.float32)[..., :2]
        if keypoints.shape[0] != 1:
            raise ValueError(
                f"sample {key!r} holds {keypoints.shape[0]} instances; latent "
                "targets need data_mode='topdown', one instance a sample"
            )
        shown = np.asarray(info.get("keypoints_visible", np.ones(keypoints.shape[:2])))
        shown = shown.reshape(*keypoints.shape[:2], -1)[0, :, 0] > 0
        if annotations and keypoints[0].shape != annotations[0].shape:
            raise ValueError(
                f"sample {key!r} has {keypoints.shape[1]} landmarks, the ones "
                f"before it {len(annotations[0])}"
            )
        if not np.isfinite(keypoints[0][shown]).all():
            landmark = int(
                np.flatnonzero(shown & ~np.isfinite(keypoints[0]).all(-1))[0]
            )
            raise ValueError(
                f"sample {key!r}: the annotation of landmark {landmark} is "
                f"{keypoints[0, landmark].tolist()}; mark it invisible or mend it"
            )
        keys.append(key)
        annotations.append(keypoints[0])
        visible.append(shown)
        frames.append(_frame(info))
    return LatentTargetStore(
        keys,
        torch.from_numpy(np.stack(annotations)),
        torch.from_numpy(np.stack(visible)),
        frames,
    )


def located_samples(dataset) -> list[tuple[BaseDataset, int]]:
    """Data set and index of every sample, in the order of the store's rows."""
    samples = []
    for leaf in leaves(dataset):
        leaf.full_init()
        samples += [(leaf, i) for i in range(len(leaf))]
    return samples


def _annotation(dataset, index: int) -> dict:
    """A sample's info without reading or rendering its image."""
    info = BaseDataset.get_data_info(dataset, index)
    if "dataset_name" not in info:
        info["dataset_name"] = dataset.metainfo.get("dataset_name", "")
    return info


def _frame(info: dict) -> tuple[str, int] | None:
    """A sample's video and number in it; None for a still image."""
    if info.get("sequence_id") is None or info.get("frame_number") is None:
        return None
    # Data sets number their videos each for itself.
    video = f"{info['dataset_name']}/{info['sequence_id']}"
    return video, int(info["frame_number"])


def wrappers(dataset) -> Iterator:
    """Wrapping data sets that have a pipeline of their own."""
    parts = getattr(dataset, "datasets", None)
    inner = parts if parts is not None else [getattr(dataset, "dataset", None)]
    if inner == [None]:
        return
    if hasattr(dataset, "pipeline"):
        yield dataset
    for part in inner:
        yield from wrappers(part)


def leaves(dataset) -> list:
    """The data sets under any nesting of wrappers, each once."""
    parts = getattr(dataset, "datasets", None)
    if parts is None:
        inner = getattr(dataset, "dataset", None)
        if inner is None:
            return [dataset]
        parts = [inner]
    found: list = []
    for part in parts:
        found += [d for d in leaves(part) if all(d is not seen for seen in found)]
    return found


def transforms(pipeline) -> Iterator:
    """Every transform of a pipeline, those inside wrappers too."""
    steps = getattr(pipeline, "transforms", None)
    if steps is None:
        steps = pipeline if isinstance(pipeline, (list, tuple)) else []
    for step in steps:
        yield step
        yield from transforms(step)
