"""Upright faces to train on."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.registry import TRANSFORMS

from semamb_mm.faces.roll import face_roll


@TRANSFORMS.register_module()
class NormalizeRoll(BaseTransform):
    """Turn the box with the face, so that the crop shows it upright.

    The training side of :class:`RollNormalizedEstimator`. A share ``prob`` of the
    samples is cropped upright, up to the error of a first pass; the others keep the
    rotation they have, so that the network can also be the first pass. Stands
    between ``RandomBBoxTransform`` and ``TopdownAffine``; semantic alignment brings
    its targets back through it as through any rotated box.

    For the paper's rows '+ Norm', of whose details we have no source: the roll's
    measure (:func:`~semamb_mm.faces.roll.face_roll`), the jitter and the share
    are ours.

    Example:
        ```python
        *steps, affine, target, pack = _base_.train_pipeline
        normalize = dict(type='NormalizeRoll', jitter=5.0, prob=0.5)
        train_pipeline = [*steps, normalize, affine, target, pack]
        train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
        ```

    Required Keys:

        - keypoints
        - keypoints_visible (optional)
        - flip_indices

    Modified Keys:

        - bbox_rotation (degrees)

    Args:
        jitter (float): Standard deviation of the rotation that is left, degrees.
            Defaults to 5.
        prob (float): Share of the samples that is normalised. Defaults to 0.5.

    Raises:
        ValueError: On a negative jitter or a prob outside [0, 1].
    """

    def __init__(self, jitter: float = 5.0, prob: float = 0.5) -> None:
        super().__init__()
        if jitter < 0 or not 0 <= prob <= 1:
            raise ValueError(
                f"NormalizeRoll: jitter is {jitter} and prob {prob}; expected jitter "
                ">= 0 and prob in [0, 1]"
            )
        self.jitter = jitter
        self.prob = prob

    def transform(self, results: dict) -> dict:
        """Set ``bbox_rotation``."""
        keypoints = np.asarray(results["keypoints"])[..., :2]
        visible = np.asarray(
            results.get("keypoints_visible", np.ones(keypoints.shape[:2]))
        ).reshape(*keypoints.shape[:2], -1)[..., 0]
        normalized = np.random.rand(len(keypoints)) < self.prob
        remaining = self.jitter * np.random.randn(len(keypoints))
        rolls = [
            face_roll(face, results["flip_indices"], seen)
            for face, seen in zip(keypoints, visible)
        ]
        before = results.get("bbox_rotation", np.zeros(len(keypoints)))
        rotation = np.where(normalized, np.array(rolls) + remaining, before)
        results["bbox_rotation"] = rotation.astype(np.float32)
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(jitter={self.jitter}, prob={self.prob})"
