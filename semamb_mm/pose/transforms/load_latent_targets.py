"""The transform that puts the latent targets in the annotation's place."""

from __future__ import annotations

import random

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import TRANSFORMS

from semamb_mm.pose.latent_targets.keys import sample_key
from semamb_mm.pose.latent_targets.samples import ANNOTATION_KEY, ROW_KEY
from semamb_mm.pose.latent_targets.shared import SharedTargets
from semamb_mm.pose.latent_targets.store import LatentTargetStore
from semamb_mm.pose.latent_targets.weights import box_of_others


@TRANSFORMS.register_module()
class LoadLatentTargets(BaseTransform):
    """Put a sample's current latent targets in its annotation's place.

    Stands in the train pipeline after ``LoadImage`` (and ``KeypointConverter``, if
    there is one) and before any transform that moves landmarks.
    :class:`LatentTargetHook` gives it the store; without a hook the sample passes
    through with its annotation.

    Example:
        ```python
        # LatentTargetHook puts it there if it is missing.
        load, *steps = _base_.train_pipeline
        train_pipeline = [load, dict(type='LoadLatentTargets'), *steps]
        train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
        ```

    Required Keys:

        - keypoints
        - keypoints_visible (optional)
        - sample_key, or img_path and id

    Modified Keys:

        - keypoints (image pixels: the latent targets)
        - bbox (optional): of a sample with suspects, where it is the box of the
          landmarks: that of the others

    Added Keys:

        - latent_index: (1,) row of the store
        - latent_view: (1,) which view of the sample within the epoch
        - annotated_keypoints: (1, K, 2) the annotation, image pixels
        - latent_keypoints: (1, K, 2) the latent targets, image pixels
        - instance_mapping_table: has ``PackPoseInputs`` pack the above, with
          ``transformed_keypoints`` and ``bbox_rotation``

    Args:
        reseed (bool): Seed ``random``, ``numpy.random`` and Albumentations'
            generators anew for each sample from (the run's seed, the epoch, the
            sample's key and, from the second view of the epoch on, its number); in
            iteration-based loops from the iteration instead of the epoch. The
            augmentation of a sample is then the same in every worker and
            rank, and the same after a resume; copies that ``RepeatDataset`` or a
            sampler makes differ. Defaults to ``True``.
    """

    PACKED_KEYS = (
        "latent_index",
        "latent_view",
        "annotated_keypoints",
        "latent_keypoints",
        "transformed_keypoints",
        "bbox_rotation",
    )

    def __init__(self, reseed: bool = True) -> None:
        super().__init__()
        self.reseed = reseed
        self.store: SharedTargets | None = None
        # Albumentations' pipelines, which draw from generators of their own.
        self.augmenters: list = []

    def connect(self, store: LatentTargetStore | SharedTargets) -> None:
        """Take the targets from this store from now on."""
        self.store = getattr(store, "shared", store)

    def transform(self, results: dict) -> dict:
        """Replace ``keypoints``.

        Raises:
            KeyError: If the store does not know the sample.
            ValueError: If the sample holds more than one instance, or a transform
                before this one has moved its landmarks.
        """
        if self.store is None:
            return results
        row = results.pop(ROW_KEY, None)
        if row is None:
            row = self._row_by_key(results)
        annotation = np.asarray(results["keypoints"], dtype=np.float32)
        if annotation.shape[0] != 1:
            raise ValueError(
                f"sample {_name(results)} holds {annotation.shape[0]} instances; "
                "latent targets need data_mode='topdown', one instance a sample"
            )
        visible = self.store.visible[row].numpy()
        original = results.pop(ANNOTATION_KEY, None)
        if original is not None:
            _check_unmoved(results, annotation[0, :, :2], original[0, :, :2], visible)
        view, moment = self.store.view
        if self.reseed:
            self._reseed(row, view, moment)
        suspects = self.store.suspects[row].numpy()
        if suspects.any() and "bbox" in results and "bbox_scale" not in results:
            box = np.asarray(results["bbox"])
            others = box_of_others(box[0], annotation[0, :, :2], visible, suspects)
            results["bbox"] = others[None]
        latent = annotation.copy()
        latent[0, visible, :2] = self.store.targets[row].numpy()[visible]
        results["latent_index"] = np.array([row])
        results["latent_view"] = np.array([view])
        results["annotated_keypoints"] = annotation[..., :2].copy()
        results["latent_keypoints"] = latent[..., :2].copy()
        results["keypoints"] = latent
        table = results.get(
            "instance_mapping_table", PackPoseInputs.instance_mapping_table
        )
        results["instance_mapping_table"] = dict(
            table, **{name: name for name in self.PACKED_KEYS}
        )
        return results

    def _row_by_key(self, results: dict) -> int:
        key = sample_key(results, results.get("dataset"))
        row = self.store.row_of(key)
        if row is None:
            raise KeyError(
                f"no latent targets for sample {key!r}: it was not in the train "
                "data set when training began"
            )
        return row

    def _reseed(self, row: int, view: int, moment: int | None) -> None:
        seed, epoch = self.store.clock
        key_hash = int(self.store.key_hashes[row])
        mixed = [seed, epoch if moment is None else moment, key_hash]
        state = np.random.SeedSequence(mixed + [view] * (view > 0)).generate_state(2)
        random.seed(int(state[0]))
        np.random.seed(int(state[1]))
        for augmenter in self.augmenters:
            augmenter.set_random_seed(int(state[1]))

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reseed={self.reseed})"


def _name(results: dict) -> str:
    return repr(str(results.get("sample_key", results.get("img_path"))))


def _check_unmoved(
    results: dict, now: np.ndarray, original: np.ndarray, visible: np.ndarray
) -> None:
    """Refuse landmarks that are no longer where the data set gave them."""
    place = (
        "LoadLatentTargets must stand before every transform that moves landmarks, "
        "right after LoadImage, and after a KeypointConverter"
    )
    if now.shape != original.shape:
        raise ValueError(
            f"sample {_name(results)} has {len(now)} landmarks at LoadLatentTargets, "
            f"its data set gave {len(original)}: {place}"
        )
    distance = np.abs(now - original.astype(np.float32))[visible].max(-1, initial=0)
    if distance.size and not distance.max() <= 1e-3:
        landmark = int(np.flatnonzero(visible)[np.argmax(distance)])
        raise ValueError(
            f"sample {_name(results)}: landmark {landmark} is at "
            f"{now[landmark].tolist()} at LoadLatentTargets and was annotated at "
            f"{original[landmark].tolist()}: {place}"
        )
