"""The samples of a train data set, under any nesting of wrappers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dataset import BaseDataset

from .keys import sample_key
from .store import LatentTargetStore


def build_store(dataset) -> LatentTargetStore:
    """Return the store of a train data set, every target at its annotation.

    Args:
        dataset: A data set, or any nesting of MMEngine's and MMPose's
            wrappers (``ConcatDataset``, ``RepeatDataset``,
            ``CombinedDataset``, ...). A repeated sample is one sample.

    Raises:
        ValueError: If landmark counts differ, an annotation is not finite,
            or two different samples share a key.
    """
    keys, annotations, visible, frames = [], [], [], []
    for key, info in keyed_annotations(located_samples(dataset)):
        keypoints, shown = _landmarks(info, key)
        if annotations and keypoints.shape != annotations[0].shape:
            raise ValueError(
                f"sample {key!r} has {len(keypoints)} landmarks, the ones "
                f"before it {len(annotations[0])}"
            )
        keys.append(key)
        annotations.append(keypoints)
        visible.append(shown)
        frames.append(_frame(info))
    return LatentTargetStore(
        keys,
        torch.from_numpy(np.stack(annotations)),
        torch.from_numpy(np.stack(visible)),
        frames,
    )


def located_samples(dataset) -> list[tuple[BaseDataset, int]]:
    """Return data set and index of every sample, in the order of the store's rows."""
    samples = []
    for leaf in _leaves(dataset):
        leaf.full_init()
        samples += [(leaf, i) for i in range(len(leaf))]
    return samples


def keyed_annotations(
    samples: Sequence[tuple[BaseDataset, int]],
) -> Iterator[tuple[str, dict]]:
    """Yield the key in the store and the info of each of :func:`located_samples`.

    Images are neither read nor rendered.
    """
    for dataset, index in samples:
        info = BaseDataset.get_data_info(dataset, index)
        if "dataset_name" not in info:
            info["dataset_name"] = dataset.metainfo.get("dataset_name", "")
        yield sample_key(info, dataset), info


def transforms_of(dataset) -> list:
    """Return every transform of the pipelines of a data set and those it wraps."""
    owners = [*_leaves(dataset), *_wrappers(dataset)]
    return [
        transform
        for owner in owners
        for transform in _steps(getattr(owner, "pipeline", None))
    ]


def insert_first(dataset, transform) -> None:
    """Put a transform before the pipeline of a data set, or of all that it wraps.

    Raises:
        ValueError: If one has no pipeline.
    """
    for leaf in _leaves(dataset):
        steps = getattr(getattr(leaf, "pipeline", None), "transforms", None)
        if steps is None:
            raise ValueError(
                f"{type(leaf).__name__} has no pipeline to put "
                f"dict(type='{type(transform).__name__}') into"
            )
        steps.insert(0, transform)


def _landmarks(info: dict, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a sample's landmarks ``(K, 2)`` and which are visible, ``(K,)`` bool.

    Raises:
        ValueError: If it holds several instances, or a visible landmark is not finite.
    """
    keypoints = np.asarray(info["keypoints"], dtype=np.float32)[..., :2]
    if keypoints.shape[0] != 1:
        raise ValueError(
            f"sample {key!r} holds {keypoints.shape[0]} instances; latent "
            "targets need data_mode='topdown', one instance a sample"
        )
    shown = np.asarray(info.get("keypoints_visible", np.ones(keypoints.shape[:2])))
    shown = shown.reshape(*keypoints.shape[:2], -1)[0, :, 0] > 0
    bad = np.flatnonzero(shown & ~np.isfinite(keypoints[0]).all(-1))
    if len(bad):
        raise ValueError(
            f"sample {key!r}: the annotation of landmark {bad[0]} is "
            f"{keypoints[0, bad[0]].tolist()}; mark it invisible or fix it"
        )
    return keypoints[0], shown


def _frame(info: dict) -> tuple[str, int] | None:
    """Return a sample's video and number in it; None for a still image."""
    if info.get("sequence_id") is None or info.get("frame_number") is None:
        return None
    # Data sets number their videos each for itself.
    video = f"{info['dataset_name']}/{info['sequence_id']}"
    return video, int(info["frame_number"])


def _parts(dataset) -> list:
    """Return the data sets that a wrapper holds; none for a data set itself."""
    parts = getattr(dataset, "datasets", None)
    if parts is not None:
        return parts
    inner = getattr(dataset, "dataset", None)
    return [] if inner is None else [inner]


def _wrappers(dataset) -> Iterator:
    """Yield wrapping data sets that have a pipeline of their own."""
    parts = _parts(dataset)
    if parts and hasattr(dataset, "pipeline"):
        yield dataset
    for part in parts:
        yield from _wrappers(part)


def _leaves(dataset) -> list:
    """Return the data sets under any nesting of wrappers, each once."""
    parts = _parts(dataset)
    if not parts:
        return [dataset]
    leaves: list = []
    for part in parts:
        leaves += [d for d in _leaves(part) if all(d is not seen for seen in leaves)]
    return leaves


def _steps(pipeline) -> Iterator:
    """Yield every transform of a pipeline, those inside wrappers too."""
    steps = getattr(pipeline, "transforms", None)
    if steps is None:
        steps = pipeline if isinstance(pipeline, (list, tuple)) else []
    for step in steps:
        yield step
        yield from _steps(step)
