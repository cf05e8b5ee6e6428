"""A detector with its decoding and its refiner as one module, for ONNX export."""

from __future__ import annotations

import cv2
import torch
import torch.nn.functional as F
from mmpose.codecs import MSRAHeatmap
from torch import Tensor, nn

from .estimators import RollNormalizedEstimator
from .heads import last_stage


def decode_dark(heatmaps: Tensor, blur_kernel_size: int) -> tuple[Tensor, Tensor]:
    """Decode as :class:`mmpose.codecs.MSRAHeatmap` does without bias, in torch.

    Zhang et al., "Distribution-aware coordinate representation", CVPR 2020.

    Args:
        heatmaps: ``(B, K, H, W)``.
        blur_kernel_size: The codec's.

    Returns:
        ``(B, K, 2)`` positions in heatmap cells, -1 where no cell is above 0,
        and ``(B, K)`` heights.
    """
    width = heatmaps.shape[-1]
    scores, index = heatmaps.flatten(2).max(-1)
    x, y = index % width, torch.div(index, width, rounding_mode="floor")
    logs = _log_blurred(heatmaps, scores, blur_kernel_size)
    positions = torch.stack([x, y], -1).to(heatmaps)
    positions = torch.where((scores > 0)[..., None], positions, -1.0)
    return positions + _newton_step(logs, x, y), scores


def _log_blurred(heatmaps: Tensor, scores: Tensor, kernel_size: int) -> Tensor:
    """Return logarithms ``(B, K, H, W)`` of blurred heatmaps with the old maxima."""
    batch, landmarks, height, width = heatmaps.shape
    kernel = heatmaps.new_tensor(cv2.getGaussianKernel(kernel_size, 0)).view(-1)
    maps = heatmaps.reshape(-1, 1, height, width)
    half = kernel_size // 2
    maps = F.conv2d(maps, kernel.view(1, 1, -1, 1), padding=(half, 0))
    maps = F.conv2d(maps, kernel.view(1, 1, 1, -1), padding=(0, half))
    maps = maps.view(batch, landmarks, -1)
    peak = maps.max(-1, keepdim=True).values
    logs = (maps * scores[..., None] / peak).clamp_min(1e-10).log()
    return logs.view(batch, landmarks, height, width)


def _newton_step(logs: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Return the way ``(B, K, 2)`` from cells ``(B, K)`` to the parabolas' maxima."""
    height, width = logs.shape[-2:]
    flat = logs.flatten(2)
    # Near the rim there is no second derivative.
    inside = (x > 1) & (x < width - 2) & (y > 1) & (y < height - 2)
    cx, cy = x.clamp(2, width - 3), y.clamp(2, height - 3)

    def at(dx: int, dy: int) -> Tensor:
        cell = (cy + dy) * width + cx + dx
        return flat.gather(2, cell[..., None])[..., 0]

    dx, dy = (at(1, 0) - at(-1, 0)) / 2, (at(0, 1) - at(0, -1)) / 2
    dxx = (at(2, 0) - 2 * at(0, 0) + at(-2, 0)) / 4
    dyy = (at(0, 2) - 2 * at(0, 0) + at(0, -2)) / 4
    dxy = (at(1, 1) - at(1, -1) - at(-1, 1) + at(-1, -1)) / 4
    determinant = dxx * dyy - dxy**2
    usable = inside & (determinant != 0)
    safe = torch.where(usable, determinant, torch.ones_like(determinant))
    offset = torch.stack([dxy * dy - dyy * dx, dxy * dx - dxx * dy], -1)
    return torch.where(usable[..., None], offset / safe[..., None], 0.0)


class DeployedDetector(nn.Module):
    """Images in, landmarks out: network, decoding and refiner.

    Args:
        model: A top-down estimator whose decoder is ``MSRAHeatmap`` with
            ``unbiased=True``.

    Raises:
        TypeError: If it has another decoder, or looks twice.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        if isinstance(model, RollNormalizedEstimator):
            raise TypeError(
                f"{type(model).__name__} looks at each face twice and cannot be "
                "exported; export a model without Norm"
            )
        decoder = model.head.decoder
        if not isinstance(decoder, MSRAHeatmap) or not decoder.unbiased:
            raise TypeError(
                "only models with decoder=dict(type='MSRAHeatmap', unbiased=True) can "
                f"be exported, this one has {type(decoder).__name__}"
            )
        self.model = model
        self.refiner = getattr(model.head, "refiner", None)
        self.blur_kernel_size = decoder.blur_kernel_size
        self.register_buffer("scale", torch.as_tensor(decoder.scale_factor))
        normalise = model.data_preprocessor
        self.flip_channels = bool(normalise._channel_conversion)
        for name in ("mean", "std"):
            value = getattr(normalise, name, None)
            default = 0.0 if name == "mean" else 1.0
            value = torch.full((1, 3, 1, 1), default) if value is None else value
            self.register_buffer(name, value.detach().clone().view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Find the landmarks of face crops.

        Args:
            images: ``(B, 3, H, W)`` float32, BGR, 0 to 255, at the config's input
                size.

        Returns:
            ``(B, K, 2)`` positions in pixels of the crop, ``(B, K)`` confidence and
            ``(B, K)`` bool, which landmarks the refiner corrected.
        """
        if self.flip_channels:
            images = images.flip(1)
        feats = self.model.extract_feat((images - self.mean) / self.std)
        heatmaps = last_stage(self.model.head.forward(feats))
        positions, scores = decode_dark(heatmaps, self.blur_kernel_size)
        corrected = torch.zeros_like(scores, dtype=torch.bool)
        if self.refiner is not None:
            positions, corrected = self.refiner.combine(
                positions, scores, self.refiner(heatmaps)
            )
        return positions * self.scale, scores, corrected
