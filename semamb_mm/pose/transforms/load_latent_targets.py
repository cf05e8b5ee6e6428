"""The transform that puts the latent targets in the annotation's place."""

from __future__ import annotations

import random
import zlib

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import TRANSFORMS

from semamb_mm.pose.latent_targets.keys import sample_key
from semamb_mm.pose.latent_targets.store import LatentTargetStore


@TRANSFORMS.register_module()
class LoadLatentTargets(BaseTransform):
    """Put a sample's current latent targets in its annotation's place.

    Stands in the train pipeline after ``LoadImage`` and before any transform
    that moves landmarks. :class:`LatentTargetHook` gives it the store; without
    a hook the sample passes through with its annotation.

    Required Keys:

        - keypoints
        - keypoints_visible (optional)
        - sample_key, or img_path and id

    Modified Keys:

        - keypoints (image pixels: the latent targets)

    Added Keys:

        - latent_index: (1,) row of the store
        - latent_view: (1,) which view of the sample within the epoch
        - annotated_keypoints: (1, K, 2) the annotation, image pixels
        - latent_keypoints: (1, K, 2) the latent targets, image pixels
        - instance_mapping_table: has ``PackPoseInputs`` pack the above, with
          ``transformed_keypoints`` and ``bbox_rotation``

    Args:
        reseed (bool): Seed ``random`` and ``numpy.random`` anew for each
            sample from (the run's seed, the epoch, the sample's key); in
            iteration-based loops from the iteration instead of the epoch. The
            augmentation of a sample is then the same in every worker and
            rank, and the same after a resume. Defaults to ``True``.
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
        self.store: LatentTargetStore | None = None

    def connect(self, store: LatentTargetStore) -> None:
        """Take the targets from this store from now on."""
        self.store = store

    def transform(self, results: dict) -> dict:
        """Replace ``keypoints``.

        Raises:
            KeyError: If the store does not know the sample.
            ValueError: If the sample holds more than one instance.
        """
        if self.store is None:
            return results
        key = sample_key(results, results.get("dataset"))
        index = self.store.index.get(key)
        if index is None:
            raise KeyError(
                f"no latent targets for sample {key!r}: it was not in the train "
                "data set when training began"
            )
        annotation = np.asarray(results["keypoints"], dtype=np.float32)
        if annotation.shape[0] != 1:
            raise ValueError(
                f"sample {key!r} holds {annotation.shape[0]} instances; latent "
                "targets need data_mode='topdown', one instance a sample"
            )
        if self.reseed:
            seed, epoch = self.store.clock
            mixed = (seed, epoch, zlib.crc32(key.encode()))
            state = np.random.SeedSequence(mixed).generate_state(2)
            random.seed(int(state[0]))
            np.random.seed(int(state[1]))
        latent = annotation.copy()
        visible = self.store.visible[index].numpy()
        latent[0, visible, :2] = self.store.targets[index].numpy()[visible]
        results["latent_index"] = np.array([index])
        results["latent_view"] = np.array([0])
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

    def __repr__(self) -> str:
        return f"{type(self).__name__}(reseed={self.reseed})"
