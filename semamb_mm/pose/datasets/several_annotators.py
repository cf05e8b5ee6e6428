"""Any keypoint data set of MMPose whose samples several annotators marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from semamb_mm.faces.sizes import sample_sizes
from semamb_mm.formats.annotators import match_samples
from semamb_mm.functional import observer_errors
from semamb_mm.pose.latent_targets.keys import sample_key

_MODES = ("mean", "random", "all")


@DATASETS.register_module()
class SeveralAnnotatorsDataset(BaseCocoStyleDataset):
    """The samples of a stock data set, with the annotations of several people.

    Each annotator has files of their own, which a data set of MMPose's reads, or all
    are in one COCO json, whose annotations name their annotator.

    Landmarks, samples and images may be missing. Samples are the same if their image's
    path below ``data_prefix['img']`` is, without suffix; of several in an image those
    with the same ``instance``, or ``id``, in the json (see
    :mod:`semamb_mm.formats.annotators`). Annotators are in the order of their names.
    Box and all else are the first one's who has the sample.

    Besides MMPose's own fields a sample has

    - ``annotator_keypoints`` ``(A, K, 2)`` and ``annotator_visible`` ``(A, K)``, of
      which ``LatentTargetHook(consensus=...)`` makes targets;
    - ``annotator``, the name of the one whose annotation ``keypoints`` are, if it is
      one's; ``PackPoseInputs`` keeps it in the meta information.

    Example:
        A file for each annotator:

        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='SeveralAnnotatorsDataset',
            source=dict(type='AP10KDataset', data_root='data/mice',
                        data_prefix=dict(img='images/')),
            annotators=dict(anna=dict(ann_file='anna.json'),
                            ben=dict(ann_file='ben.json')),
            pipeline=_base_.train_pipeline))
        ```

        One file of all:

        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='SeveralAnnotatorsDataset',
            source=dict(type='AP10KDataset', data_root='data/mice',
                        data_prefix=dict(img='images/'), ann_file='all.json'),
            annotator_key='annotator', pipeline=_base_.train_pipeline))
        ```

    Args:
        source (dict): Config of the stock data set, without ``pipeline``.
        annotators (dict): Name to what differs in ``source``.
        annotator_key (str, optional): Field of the annotations in ``source``'s json,
            instead of ``annotators``.
        annotation (str): What ``keypoints`` are: ``'mean'`` of the annotators; where
            some are missing, each one's mean offset is taken out first. ``'random'``:
            one of them, each time anew. ``'all'``: a sample of its own for each
            annotator. Or an annotator's name: samples of this one alone. Defaults to
            ``'mean'``.
        pipeline (list): Of transforms.
        test_mode (bool): Must be False: validate on a stock data set.
        lazy_init (bool): As in :class:`mmengine.dataset.BaseDataset`.
        **kwargs: indices, serialize_data and max_refetch, as above.

    Raises:
        ValueError: On no or one annotator, an unknown ``annotation``, samples that do
            not match, or an annotation that does not name its annotator.
    """

    def __init__(
        self,
        source: dict,
        annotators: Mapping[str, dict] | None = None,
        annotator_key: str | None = None,
        annotation: str = "mean",
        pipeline: Sequence = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        **kwargs,
    ) -> None:
        if (annotators is None) == (annotator_key is None):
            raise ValueError(
                "SeveralAnnotatorsDataset needs annotators=dict(name=dict(...), ...), "
                "or annotator_key='...', and not both"
            )
        if test_mode:
            raise ValueError(
                "SeveralAnnotatorsDataset is for training: for validation and tests "
                f"give dict(type={source.get('type')!r}, ...) itself"
            )
        self.annotator_key = annotator_key
        self.annotation = annotation
        # By name: so a dumped config has them, and a resumed training its samples.
        named = {str(name): change for name, change in (annotators or {}).items()}
        self._names = None if annotators is None else sorted(named)
        changes = [{}] if annotators is None else [named[n] for n in self._names]
        own = dict(deepcopy(dict(source)), lazy_init=True, serialize_data=False)
        self._sources = [DATASETS.build({**own, **change}) for change in changes]
        super().__init__(pipeline=list(pipeline), lazy_init=True, **kwargs)
        self._metainfo = deepcopy(self._sources[0].metainfo)
        for step in self.pipeline.transforms:
            if "PackPoseInputs" in {cls.__name__ for cls in type(step).__mro__}:
                step.meta_keys = (*step.meta_keys, "annotator")
        if not lazy_init:
            self.full_init()

    def load_data_list(self) -> list[dict]:
        """Read the data sets of all annotators, and match their samples."""
        infos = self._infos()
        self._sources = []
        names = list(infos)
        if len(names) < 2:
            raise ValueError(
                f"SeveralAnnotatorsDataset found the annotators {names}; expected two "
                "or more"
            )
        if self.annotation not in (*_MODES, *names):
            raise ValueError(
                f"annotation is {self.annotation!r}; expected one of {_MODES}, or an "
                f"annotator: {names}"
            )
        self._metainfo["annotators"] = names
        samples, rows = match_samples(
            {name: [key for key, _ in part] for name, part in infos.items()}
        )
        count = self._metainfo["num_keypoints"]
        points = np.zeros((len(names), len(samples), count, 2), np.float32)
        visible = np.zeros(points.shape[:3], np.float32)
        merged: list[dict] = [{} for _ in samples]
        for number, name in enumerate(names):
            for row, (_, info) in zip(rows[name], infos[name]):
                points[number, row] = info["keypoints"][0, :, :2]
                visible[number, row] = info["keypoints_visible"][0].reshape(count, -1)[
                    :, 0
                ]
                merged[row] = merged[row] or info
        means = _means(points, visible)
        return [
            made
            for row, info in enumerate(merged)
            for made in self._samples(
                info, points[:, row], visible[:, row] > 0, means[row]
            )
        ]

    def _infos(self) -> dict[str, list]:
        """Return for each annotator key and info of their samples."""
        infos: dict[str, list] = {}
        for number, source in enumerate(self._sources):
            source.full_init()
            name = None if self._names is None else self._names[number]
            for index in range(len(source)):
                info = BaseDataset.get_data_info(source, index)
                raw = info.get("raw_ann_info") or {}
                if self.annotator_key is not None:
                    if self.annotator_key not in raw:
                        raise ValueError(
                            f"{source.ann_file}: annotation {info.get('id')} has no "
                            f"{self.annotator_key!r}; expected the annotator's name in "
                            "every one"
                        )
                    name = str(raw[self.annotator_key])
                own = info.get("id") if self.annotator_key is None else None
                key = (
                    _image_of(info, source),
                    raw.get("instance", own),
                    raw.get("repeat", 0),
                )
                info["sample_key"] = _unique_key(info, source, key)
                infos.setdefault(str(name), []).append((key, info))
        # In one file annotators come as its annotations do.
        return dict(sorted(infos.items())) if self.annotator_key else infos

    def _samples(
        self, info: dict, points: np.ndarray, visible: np.ndarray, mean: np.ndarray
    ) -> list[dict]:
        """Return a sample, or none, or one for each annotator."""
        names = self._metainfo["annotators"]
        everybody = dict(
            annotator_keypoints=points, annotator_visible=visible.astype(np.float32)
        )
        if self.annotation in ("mean", "random"):
            shown = visible.any(0)
            return [{**info, **everybody, **_given(mean, shown)}]
        chosen = names if self.annotation == "all" else [self.annotation]
        made = []
        for name in chosen:
            number = names.index(name)
            if visible[number].any():
                own = _given(points[number], visible[number])
                key = info["sample_key"]
                key = f"{key}@{name}" if self.annotation == "all" else key
                made.append({**info, **own, "annotator": name, "sample_key": key})
        return made

    def get_data_info(self, idx: int) -> dict:
        """Return a sample, by a random annotator if so wanted."""
        info = super().get_data_info(idx)
        if self.annotation == "random":
            visible = info["annotator_visible"] > 0
            number = np.random.choice(np.flatnonzero(visible.any(1)))
            info.update(_given(info["annotator_keypoints"][number], visible[number]))
            info["annotator"] = self._metainfo["annotators"][number]
        return info


def _given(points: np.ndarray, visible: np.ndarray) -> dict:
    """Return one annotation ``(K, 2)`` as MMPose has it."""
    return dict(
        keypoints=points[None].copy(),
        keypoints_visible=visible[None].astype(np.float32),
        num_keypoints=int(visible.sum()),
    )


def _image_of(info: dict, source: BaseDataset) -> str:
    """Return an image's path below the folders of a data set, without suffix."""
    folders = (source.data_prefix or {}).get("img") or ""
    path = Path(str(info["img_path"]))
    for folder in [folders] if isinstance(folders, str) else folders:
        if folder and path.is_relative_to(folder):
            path = path.relative_to(folder)
            break
    return path.with_suffix("").as_posix()


def _unique_key(info: dict, source: BaseDataset, key: tuple) -> str:
    """Return a sample's key in the store; repeats are samples of their own."""
    name = info.get("dataset_name", source.metainfo.get("dataset_name", ""))
    made = sample_key({**info, "dataset_name": name}, source)
    return f"{made}@{key[2]}" if key[2] else made


def _means(points: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Return the annotators' mean ``(N, K, 2)``, without jumps where one is missing."""
    seen = visible > 0
    number = seen.sum(0)[..., None].clip(1)
    means = (points * seen[..., None]).sum(0) / number
    some = seen.any(0) & ~seen.all(0)
    if some.any():
        sizes = sample_sizes(means, seen.any(0))[:, None, None]
        errors = observer_errors(
            torch.from_numpy(points / sizes), torch.from_numpy(seen)
        )
        offsets = errors.offsets.numpy()[:, None] * sizes
        corrected = ((points - offsets) * seen[..., None]).sum(0) / number
        means[some] = corrected[some]
    return means.astype(np.float32)
