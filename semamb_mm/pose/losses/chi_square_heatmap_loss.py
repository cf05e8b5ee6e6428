"""The paper's chi-square as a loss of MMPose."""

from __future__ import annotations

import math

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from semamb_mm.functional import pearson_chi_square


@MODELS.register_module()
class ChiSquareHeatmapLoss(nn.Module):
    """Pearson's chi-square between target and predicted heatmaps.

    The paper's training step (arXiv 1903.10661) as a loss that any MMPose
    heatmap head takes: ``(E - H)^2 / E`` within ``radius_in_sigmas`` of the
    target, where the target heatmap ``E`` is at least
    ``exp(-radius_in_sigmas^2 / 2)``. The paper's patch says nothing about the
    rest of the map; there the plain square ``H^2`` is added (ours), without
    which a network need not be quiet elsewhere.

    Example:
        ```python
        model = dict(head=dict(loss=dict(_delete_=True, type='ChiSquareHeatmapLoss')))
        ```

    Args:
        radius_in_sigmas (float): Radius of the patch in standard deviations
            of the target's Gaussian. Defaults to 2.
        background_weight (float): Weight of the squared error outside the
            patch. Defaults to 1.
        use_target_weight (bool): Weigh landmarks by ``keypoint_weights``.
            Defaults to ``True``.
        loss_weight (float): Weight of the loss. Defaults to 1.
    """

    def __init__(
        self,
        radius_in_sigmas: float = 2.0,
        background_weight: float = 1.0,
        use_target_weight: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if not 0 < radius_in_sigmas <= 6:
            raise ValueError(
                f"radius_in_sigmas must be in (0, 6], got {radius_in_sigmas}"
            )
        self.floor = math.exp(-(radius_in_sigmas**2) / 2)
        self.background_weight = background_weight
        self.use_target_weight = use_target_weight
        self.loss_weight = loss_weight

    def forward(
        self,
        output: Tensor,
        target: Tensor,
        target_weights: Tensor | None = None,
        mask: Tensor | None = None,
    ) -> Tensor:
        """Return the mean over batch, landmarks and cells, as ``KeypointMSELoss``.

        Args:
            output: ``(B, K, H, W)`` predicted heatmaps.
            target: ``(B, K, H, W)`` Gaussians of peak 1.
            target_weights: ``(B, K)``.
            mask: ``(B, K, H, W)`` or broadcastable; 0 leaves a cell out.

        Returns:
            Tensor ``()``.
        """
        output, target = output.float(), target.float()
        error = pearson_chi_square(output, target, floor=self.floor)
        if self.background_weight != 1 / self.floor:
            plain = self.background_weight * (target - output).square()
            error = torch.where(target >= self.floor, error, plain)
        if self.use_target_weight and target_weights is not None:
            error = error * target_weights.to(error)[..., None, None]
        if mask is not None:
            error = error * mask
        return error.mean() * self.loss_weight
