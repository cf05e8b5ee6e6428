"""Failures of a detector, imitated on its heatmaps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpose.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class HeatmapFailures(nn.Module):
    """Heatmaps spoiled the way a detector fails, to train a refiner on.

    Each landmark's heatmap is, with the given probabilities, one of: removed
    (scaled by 0 to 0.1), blurred (to a low, wide blob) or displaced (moved and
    halved, a confident mistake). The share of spoiled landmarks is drawn anew for
    each face, from none to twice the given one, so that nearly whole and badly
    broken faces are both seen. Does nothing in evaluation mode.

    Example:
        ```python
        # Of a head with a GHCU:
        failures = dict(type='HeatmapFailures', remove=0.2, blur=0.1, displace=0.05)
        model = dict(head=dict(refiner=dict(failures=failures)))
        ```

    Args:
        remove (float): Mean share of landmarks removed. Defaults to 0.1.
        blur (float): Mean share of landmarks blurred. Defaults to 0.1.
        displace (float): Mean share of landmarks displaced. Defaults to 0.05.
        max_shift (float): Farthest displacement along either axis, as a share of
            the heatmap's sides. Defaults to 0.2.

    Raises:
        ValueError: If the shares are negative or their sum exceeds 0.5.
    """

    def __init__(
        self,
        remove: float = 0.1,
        blur: float = 0.1,
        displace: float = 0.05,
        max_shift: float = 0.2,
    ) -> None:
        super().__init__()
        shares = (remove, blur, displace)
        if min(shares) < 0 or sum(shares) > 0.5:
            raise ValueError(
                "HeatmapFailures: remove, blur and displace must be at least 0 and "
                f"add up to at most 0.5, got {shares}"
            )
        self.shares = shares
        self.max_shift = max_shift

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Spoil ``(B, K, H, W)`` heatmaps; the argument is left alone."""
        if not self.training:
            return heatmaps
        batch, landmarks = heatmaps.shape[:2]
        remove, blur, displace = self.shares
        severity = 2 * torch.rand(batch, 1, device=heatmaps.device)
        draw = torch.rand(batch, landmarks, device=heatmaps.device)
        removed = draw < severity * remove
        blurred = ~removed & (draw < severity * (remove + blur))
        displaced = ~removed & ~blurred
        displaced &= draw < severity * (remove + blur + displace)
        faint = torch.where(removed, 0.1 * torch.rand_like(draw), 1.0)
        spoiled = heatmaps * faint[..., None, None]
        # A small batch may draw none.
        if blurred.any():
            spoiled[blurred] = _blur(heatmaps[blurred])
        if displaced.any():
            spoiled[displaced] = 0.5 * _shift(heatmaps[displaced], self.max_shift)
        return spoiled


def _blur(heatmaps: Tensor) -> Tensor:
    """Box-blur ``(N, H, W)`` twice, over about a sixth of the heatmap."""
    size = max(3, heatmaps.shape[-1] // 6) // 2 * 2 + 1
    for kernel in ((size, 1), (1, size)) * 2:
        padding = (kernel[0] // 2, kernel[1] // 2)
        heatmaps = F.avg_pool2d(heatmaps, kernel, stride=1, padding=padding)
    return heatmaps


def _shift(heatmaps: Tensor, max_shift: float) -> Tensor:
    """Move each of ``(N, H, W)`` by up to a share of its sides; 0 comes in."""
    shift = (2 * torch.rand(len(heatmaps), 2, device=heatmaps.device) - 1) * max_shift
    matrix = torch.eye(2, 3, device=heatmaps.device).repeat(len(heatmaps), 1, 1)
    matrix[:, :, 2] = 2 * shift
    maps = heatmaps[:, None]
    grid = F.affine_grid(matrix.to(maps.dtype), list(maps.shape), align_corners=False)
    return F.grid_sample(maps, grid, align_corners=False)[:, 0]
