"""Labels that weigh nothing in the loss of any head, though they stay visible.

Nor do they stretch the sample's box where it is that of its landmarks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmpose.structures import PoseDataSample
from torch import Tensor, nn

from .warp import landmark_order

_TIGHT = 0.51  # pixels by which a box that was made of its landmarks may be rounded


def leave_out(data_samples: Sequence[PoseDataSample], suspects: Tensor) -> None:
    """Set the weights of suspects to 0, in a batch as ``PackPoseInputs`` packs it.

    ``keypoint_weights`` is what every head of MMPose weighs its loss by. Heads that
    also learn which landmarks are visible are told nothing about suspects, by
    ``keypoints_visible_weights``.

    Args:
        data_samples: Those of the batch, changed in place.
        suspects: ``(N, K)`` bool, by row of the store and landmark of the annotation.
    """
    for sample in data_samples:
        of_sample = suspects[int(sample.gt_instances.latent_index[0])]
        if not of_sample.any():
            continue
        order = torch.from_numpy(landmark_order(sample.metainfo, len(of_sample)))
        places = of_sample[order].nonzero()[:, 0]
        labels = sample.gt_instance_labels
        weights = labels.keypoint_weights
        of_visibility = labels.get("keypoints_visible_weights")
        if of_visibility is None:
            of_visibility = torch.ones_like(weights)
        labels.keypoint_weights = weights.index_fill(-1, places, 0)
        labels.keypoints_visible_weights = of_visibility.index_fill(-1, places, 0)


def box_of_others(
    box: np.ndarray, points: np.ndarray, seen: np.ndarray, suspects: np.ndarray
) -> np.ndarray:
    """Return a sample's box as it is without suspects.

    A misplaced landmark stretches and shifts a box that is made of the landmarks, and
    with it the crop. Any other box, as a detector gives or people drew, stays.

    Args:
        box: ``(4,)`` left, top, right, bottom, image pixels.
        points: ``(K, 2)`` the annotation.
        seen: ``(K,)`` bool, which of them are annotated and visible.
        suspects: ``(K,)`` bool.

    Returns:
        ``(4,)``: the box around the others, if ``box`` lies around all landmarks or all
        visible ones, within half a pixel, and there are two others at least.
    """
    for chosen in (np.ones_like(seen), seen):
        others = chosen & ~suspects
        if others.sum() < 2:
            continue
        around = _around(points[chosen])
        if np.abs(around - box).max() <= _TIGHT:
            return _around(points[others]).astype(box.dtype)
    return box


def _around(points: np.ndarray) -> np.ndarray:
    return np.concatenate([points.min(0), points.max(0)])


def check_losses(model: nn.Module) -> None:
    """See that weights reach a model's losses.

    Raises:
        ValueError: If one has ``use_target_weight=False``; it names it.
    """
    for name, module in model.named_modules():
        if getattr(module, "use_target_weight", True) is False:
            raise ValueError(
                f"suspects shall weigh nothing, but {type(module).__name__} at model."
                f"{name} has use_target_weight=False and takes no weights: set "
                "use_target_weight=True in its config, or train without suspects"
            )
