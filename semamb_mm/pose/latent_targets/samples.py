"""The samples of a train data set, under any nesting of wrappers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from torch import Tensor

from .keys import sample_key
from .store import LatentTargetStore

# Under which a sample knows its row, and the annotation that its data set gave.
ROW_KEY = "latent_row"
ANNOTATION_KEY = "latent_annotation"
LOADER = "LoadLatentTargets"
# MMPose's transforms that map a data set's landmarks to another's; no image needed.
CONVERTERS = ("KeypointConverter", "SingleHandConverter")


def build_store(dataset, *, named: bool = False) -> LatentTargetStore:
    """Return the store of a train data set, every target at its annotation.

    Args:
        dataset: A data set, or any nesting of MMEngine's and MMPose's
            wrappers (``ConcatDataset``, ``RepeatDataset``,
            ``CombinedDataset``, ...). A repeated sample is one sample.
        named: Whether other processes of this machine will open its ``shared``.

    Raises:
        ValueError: If landmark counts differ, an annotation is not finite,
            or two different samples share a key.
    """
    samples = located_samples(dataset)
    keys, frames = [], []
    boxes = np.zeros((len(samples), 4), np.float32)
    annotations = visible = None
    opinions: list[dict] = []
    for row, (key, info) in enumerate(keyed_annotations(samples)):
        keypoints, shown = _given(info, key)
        if annotations is None:
            annotations = np.empty((len(samples), *keypoints.shape), np.float32)
            visible = np.empty((len(samples), len(keypoints)), bool)
        if keypoints.shape != annotations.shape[1:]:
            raise ValueError(
                f"sample {key!r} has {len(keypoints)} landmarks, the ones "
                f"before it {annotations.shape[1]}. Map each data set to one set of "
                "landmarks, as MMPose's configs do: dict(type='KeypointConverter', "
                "...) in its pipeline, before LoadLatentTargets"
            )
        keys.append(key)
        annotations[row] = keypoints
        visible[row] = True if shown is None else shown > 0
        frame = frame_of(info)
        # Data sets number their videos each for itself.
        frames.append(frame and (f"{info['dataset_name']}/{frame[0]}", frame[1]))
        if "annotator_keypoints" in info:
            opinions.append(info)
        if "bbox" in info:
            boxes[row] = np.reshape(info["bbox"], (-1, 4))[0]
    if annotations is None:
        raise ValueError("latent targets: the train data set has no samples")
    _check_finite(keys, annotations, visible)
    return LatentTargetStore(
        keys,
        torch.from_numpy(annotations),
        torch.from_numpy(visible),
        frames if any(frames) else None,
        named,
        boxes,
        _opinions(samples, opinions),
    )


def _opinions(
    samples: Sequence[tuple[BaseDataset, int]], infos: Sequence[dict]
) -> tuple[Tensor, Tensor] | None:
    """Return what several annotators marked, ``(A, N, K, 2)``, ``(A, N, K)`` bool."""
    if not infos:
        return None
    leaves = {id(leaf): leaf for leaf, _ in samples}.values()
    names = [leaf.metainfo.get("annotators") for leaf in leaves]
    if any(other != names[0] for other in names):
        raise ValueError(
            f"data sets of the annotators {names[0]} and {names[-1]}: expected the "
            "same ones, in one order, in every train data set"
        )
    points = np.stack([info["annotator_keypoints"] for info in infos], 1)
    visible = np.stack([info["annotator_visible"] for info in infos], 1)
    return torch.from_numpy(points), torch.from_numpy(visible > 0)


def located_samples(dataset) -> list[tuple[BaseDataset, int]]:
    """Return data set and index of every sample, in the order of the store's rows."""
    set_converters(dataset)
    samples = []
    for leaf in _leaves(dataset):
        leaf.full_init()
        samples += [(leaf, i) for i in range(len(leaf))]
    return samples


def keyed_annotations(
    samples: Sequence[tuple[BaseDataset, int]],
) -> Iterator[tuple[str, dict]]:
    """Yield the key in the store and the info of each of :func:`located_samples`.

    Images are neither read nor rendered. Where the sample of a later data set has the
    key of one before it, as image folders of equal content give, the data set's number
    stands before it. Landmarks are those of the mark-up that is trained: see
    :func:`set_converters`.
    """
    several = bool(samples) and samples[0][0] is not samples[-1][0]
    taken: dict[str, BaseDataset] = {}
    numbers: dict[int, int] = {}
    names: list[str] = []
    for dataset, index in samples:
        number = numbers.setdefault(id(dataset), len(numbers))
        if number == len(names):  # metainfo is a deep copy each time
            names.append(dataset.metainfo.get("dataset_name", ""))
        info = BaseDataset.get_data_info(dataset, index)
        info.setdefault("dataset_name", names[number])
        key = sample_key(info, dataset)
        if several and taken.setdefault(key, dataset) is not dataset:
            key = f"{number}:{key}"
        yield key, convert(info, getattr(dataset, "_latent_converters", ()))


def convert(info: dict, converters: Sequence) -> dict:
    """Return a sample's info with its landmarks mapped by a pipeline's converters."""
    if converters and "annotator_keypoints" in info:
        points, visible = info["annotator_keypoints"], info["annotator_visible"]
        mapped = convert(dict(keypoints=points, keypoints_visible=visible), converters)
        visible = mapped["keypoints_visible"].reshape(
            *mapped["keypoints"].shape[:2], -1
        )
        info = dict(info, annotator_keypoints=mapped["keypoints"])
        info["annotator_visible"] = visible[..., 0]
    for converter in converters:
        info = converter(dict(info))
    return info


def transforms_of(dataset) -> list:
    """Return every transform of the pipelines of a data set and those it wraps."""
    owners = [*_leaves(dataset), *_wrappers(dataset)]
    return [
        transform
        for owner in owners
        for transform in _steps(getattr(owner, "pipeline", None))
    ]


def insert_loader(dataset, transform) -> None:
    """Put a transform into the pipeline of a data set, or of all that it wraps.

    It comes first, or after the last converter.

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
        last = [i for i, step in enumerate(steps) if is_a(step, *CONVERTERS)]
        steps.insert(last[-1] + 1 if last else 0, transform)


def set_converters(dataset) -> None:
    """Tell each data set which converters its landmarks pass.

    Those of its own pipeline and of its wrappers', as far as ``LoadLatentTargets``.

    Raises:
        ValueError: If a converter comes after it: it would map annotations away from
            their latent targets.
    """
    for leaf, pipelines in _paths(dataset):
        steps = [step for pipeline in pipelines for step in _steps(pipeline)]
        loaders = [i for i, step in enumerate(steps) if is_a(step, LOADER)]
        end = loaders[0] if loaders else len(steps)
        late = [s for s in steps[end:] if is_a(s, *CONVERTERS)]
        if late:
            raise ValueError(
                f"{type(late[0]).__name__} stands after LoadLatentTargets in the train "
                f"pipeline of {type(leaf).__name__}: latent targets are kept in the "
                "mark-up that is trained. Put LoadLatentTargets after it, or leave it "
                "out of the config: LatentTargetHook then inserts it"
            )
        leaf._latent_converters = [s for s in steps[:end] if is_a(s, *CONVERTERS)]


def mark_rows(dataset) -> None:
    """Have each sample know its row in the store before its pipeline begins."""
    first = 0
    for leaf in _leaves(dataset):
        steps = getattr(getattr(leaf, "pipeline", None), "transforms", None)
        if steps is not None:
            steps[:] = [s for s in steps if not isinstance(s, _TellRow)]
            steps.insert(0, _TellRow(first, leaf._latent_converters))
        first += len(leaf)


class _TellRow:
    """First in a data set's pipeline: adds the row and the annotation of a sample."""

    def __init__(self, first: int, converters: Sequence) -> None:
        self.first, self.converters = first, converters

    def __call__(self, results: dict) -> dict:
        """Add both, if the data set numbers its samples."""
        if "sample_idx" in results:
            results[ROW_KEY] = self.first + results["sample_idx"]
            names = ("keypoints", "keypoints_visible")
            annotation = {n: np.array(results[n]) for n in names if n in results}
            results[ANNOTATION_KEY] = convert(annotation, self.converters)["keypoints"]
        return results


def is_a(step, *names: str) -> bool:
    """Return whether a transform's class, or one of its parents, has such a name."""
    return any(cls.__name__ in names for cls in type(step).__mro__)


def landmarks_of(info: dict, key: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a sample's landmarks ``(K, 2)`` and which are visible, ``(K,)`` bool.

    Raises:
        ValueError: If it holds several instances, or a visible landmark is not finite.
    """
    keypoints, shown = _given(info, key)
    keypoints = keypoints.astype(np.float32)
    visible = np.ones(len(keypoints), bool) if shown is None else shown > 0
    _check_finite([key], keypoints[None], visible[None])
    return keypoints, visible


def _given(info: dict, key: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a sample's landmarks ``(K, 2)`` and visibilities ``(K,)``, if any."""
    keypoints, shown = info["keypoints"], info.get("keypoints_visible")
    if len(keypoints) != 1:
        raise ValueError(
            f"sample {key!r} holds {len(keypoints)} instances; latent "
            "targets need data_mode='topdown', one instance a sample"
        )
    keypoints = np.asarray(keypoints[0])[:, :2]
    if shown is not None:
        shown = np.asarray(shown[0]).reshape(len(keypoints), -1)[:, 0]
    return keypoints, shown


def frame_of(info: dict) -> tuple[str, int] | None:
    """Return a sample's video and number in it; None for a still image."""
    if info.get("sequence_id") is None or info.get("frame_number") is None:
        return None
    return str(info["sequence_id"]), int(info["frame_number"])


def _check_finite(
    keys: Sequence[str], annotations: np.ndarray, visible: np.ndarray
) -> None:
    """Refuse visible landmarks ``(N, K, 2)`` without a position."""
    for first in range(0, len(keys), 4096):  # few at a time: no second copy of all
        part = slice(first, first + 4096)
        bad = np.argwhere(visible[part] & ~np.isfinite(annotations[part]).all(-1))
        if len(bad):
            row, landmark = bad[0] + (first, 0)
            raise ValueError(
                f"sample {keys[row]!r}: the annotation of landmark {landmark} is "
                f"{annotations[row, landmark].tolist()}; mark it invisible or fix it"
            )


def _parts(dataset) -> list:
    """Return the data sets that a wrapper holds; none for a data set itself."""
    parts = getattr(dataset, "datasets", None)
    if parts is not None:
        return parts
    inner = getattr(dataset, "dataset", None)
    return [] if inner is None else [inner]


def _paths(dataset, outer: tuple = ()) -> Iterator[tuple[BaseDataset, tuple]]:
    """Yield each data set and the pipelines its samples pass, its own first."""
    parts = _parts(dataset)
    own = (getattr(dataset, "pipeline", None), *outer)
    if not parts:
        yield dataset, own
    for part in parts:
        yield from _paths(part, own)


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
