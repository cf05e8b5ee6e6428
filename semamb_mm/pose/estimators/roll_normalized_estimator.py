"""Finding landmarks twice, the second time in the upright face."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmpose.models import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.structures import PoseDataSample
from mmpose.utils.typing import SampleList
from torch import Tensor

from semamb_mm.faces.roll import face_roll

from .frozen_detector_estimator import FrozenDetectorEstimator


def turn(
    images: Tensor,
    degrees: Tensor,
    scale_factor: Sequence[float] = (1.0, 1.0),
    center: Sequence[float] | None = None,
) -> Tensor:
    """Turn images about their middle, such that what leant by ``degrees`` is upright.

    Bilinear; cells from outside are 0. The middle is where ``get_warp_matrix`` puts the
    box's centre and ``TopdownPoseEstimator`` looks for it, with UDP or without: pixel
    (W / 2, H / 2) of the input, the first pixel being (0, 0).

    Args:
        images: ``(B, C, H, W)``.
        degrees: ``(B,)``, clockwise.
        scale_factor: Pixels of the input in a cell, along x and y.
        center: What to turn about, pixels of the input; the middle cell by default.
    """
    height, width = images.shape[-2:]
    cos, sin = torch.cos(torch.deg2rad(degrees)), torch.sin(torch.deg2rad(degrees))
    per_x, per_y = (float(pixels) for pixels in scale_factor)
    down, across = sin * (per_x / per_y), sin * (per_y / per_x)
    # How far the centre lies from the middle cell.
    dx = 0.0 if center is None else float(center[0]) / per_x - width / 2
    dy = 0.0 if center is None else float(center[1]) / per_y - height / 2
    off_x, off_y = dx - cos * dx + across * dy, dy - cos * dy - down * dx
    # In affine_grid's coordinates, whose origin lies half a pixel beside the middle.
    x = [cos, -across * height / width, (1 - cos + across + 2 * off_x) / width]
    y = [down * width / height, cos, (1 - cos - down + 2 * off_y) / height]
    x, y = torch.stack(x, -1), torch.stack(y, -1)
    theta = torch.stack([x, y], 1).to(images)
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


@MODELS.register_module()
class RollNormalizedEstimator(TopdownPoseEstimator):
    """A top-down estimator that looks twice, the second time at the upright face.

    The first pass finds landmarks in the crop as it is; their roll
    (:func:`~semamb_mm.faces.roll.face_roll`) turns the crop, the network's
    input itself, the second pass finds landmarks in that, and they are turned back.
    So ``tools/test.py`` and MMPose's inferencers need nothing else than the config
    and one checkpoint. ``pred_instances.rolls`` ``(1,)`` says by how many degrees
    the crop was turned; heatmaps that are asked for are turned back too.

    Train with :class:`NormalizeRoll` in the pipeline. The training step is
    :class:`mmpose.models.TopdownPoseEstimator`'s, and so are the checkpoints.

    For the paper's rows '+ Norm', of whose details we have no source. Ours: that one
    network makes both passes, the roll's measure, and that the second crop is cut
    from the first, so that its corners are empty (grey) where that does not reach.

    Example:
        ```python
        model = dict(type='RollNormalizedEstimator')
        *steps, affine, target, pack = _base_.train_pipeline
        train_pipeline = [*steps, dict(type='NormalizeRoll'), affine, target, pack]
        train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
        ```
    """

    def predict(self, inputs: Tensor, data_samples: SampleList) -> SampleList:
        """Return the predictions of the second pass, in image pixels.

        Args:
            inputs: ``(B, C, H, W)``.
            data_samples: One of one face for each input.
        """
        samples = super().predict(inputs, data_samples)
        rolls = [self._roll(sample) for sample in samples]
        degrees = torch.tensor(rolls, dtype=torch.float32, device=inputs.device)
        samples = super().predict(turn(inputs, degrees), data_samples)
        for sample, roll in zip(samples, degrees):
            self._turn_back(sample, roll)
        return samples

    @staticmethod
    def _roll(sample: PoseDataSample) -> float:
        # The crop is scaled alike in x and y: angles are those of the image.
        keypoints = sample.pred_instances.keypoints[0, :, :2]
        return face_roll(keypoints, sample.metainfo["flip_indices"])

    def _turn_back(self, sample: PoseDataSample, roll: Tensor) -> None:
        center = np.asarray(sample.metainfo["input_center"])
        angle = math.radians(float(roll))
        cos, sin = math.cos(angle), math.sin(angle)
        rotation = np.array([[cos, -sin], [sin, cos]])
        instances = sample.pred_instances
        around = instances.keypoints[..., :2] - center
        instances.keypoints[..., :2] = around @ rotation.T + center
        instances.rolls = np.array([float(roll)])
        if "pred_fields" in sample:
            fields = sample.pred_fields
            fields.heatmaps = turn(
                fields.heatmaps[None], -roll[None], *self._cells(fields.heatmaps)
            )[0]

    def _cells(self, heatmaps: Tensor) -> tuple:
        """Return pixels in a cell of the heatmaps, and the input's middle in pixels."""
        decoder = getattr(self.head, "decoder", None)
        if tuple(getattr(decoder, "heatmap_size", ())) != heatmaps.shape[:0:-1]:
            return ()
        return decoder.scale_factor, np.asarray(decoder.input_size) / 2


@MODELS.register_module()
class RollNormalizedFrozenEstimator(RollNormalizedEstimator, FrozenDetectorEstimator):
    """A :class:`RollNormalizedEstimator` of which only the refiner is trained.

    The second stage of such a detector with a :class:`GHCU`.

    Example:
        ```python
        load_from = 'work_dirs/my_config/epoch_60.pth'
        model = dict(
            type='RollNormalizedFrozenEstimator',
            head=dict(type='SemanticAlignmentHead', refiner=dict(type='GHCU')))
        *steps, pack = _base_.train_pipeline
        train_pipeline = [*steps, dict(pack, pack_transformed=True)]
        train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
        ```

    Raises:
        ValueError: If the head has no refiner.
    """
