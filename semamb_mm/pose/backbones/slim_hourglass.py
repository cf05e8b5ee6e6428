"""A stacked hourglass that trains on a CPU."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmpose.models.backbones import HourglassNet
from mmpose.models.backbones.resnet import BasicBlock, ResLayer
from mmpose.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class SlimHourglassNet(HourglassNet):
    """MMPose's stacked hourglass with a stem of any width and stride.

    MMPose's stem is fixed at 256 channels and stride 4. A narrow one trains
    on a CPU, and stride 2 halves the heatmap's cell, which semantic alignment
    asks for: a cell should be finer than the annotators' noise.

    Example:
        ```python
        # In place of HourglassNet; heatmaps have a quarter of the image's side.
        model = dict(
            backbone=dict(
                _delete_=True, type='SlimHourglassNet', stage_channels=(32, 32, 48),
                stage_blocks=(1, 1, 1), downsample_times=2, num_stacks=1,
                feat_channel=32, stem_stride=4),
            head=dict(in_channels=32))
        ```

    Args:
        stage_channels (Sequence[int]): Channels of each level; the first is
            the stem's width too.
        stem_stride (int): 2 or 4. Defaults to 2.
        channels_last (bool): Keep weights and activations in PyTorch's
            channels-last layout, in which narrow convolutions train about
            twice as fast on a CPU; the numbers stay the same. Has no effect
            if any layer has fewer than 16 channels: there oneDNN's backward
            pass corrupts memory (torch 2.11, several threads). Defaults to
            ``True``.
        **kwargs: The rest of HourglassNet's arguments.
    """

    def __init__(
        self,
        stage_channels: Sequence[int],
        stem_stride: int = 2,
        channels_last: bool = True,
        **kwargs,
    ) -> None:
        if stem_stride not in (2, 4):
            raise ValueError(f"stem_stride must be 2 or 4, got {stem_stride}")
        super().__init__(stage_channels=tuple(stage_channels), **kwargs)
        norm_cfg = kwargs.get("norm_cfg", dict(type="BN", requires_grad=True))
        width = stage_channels[0]
        self.stem = nn.Sequential(
            ConvModule(3, width // 2, 7, padding=3, stride=2, norm_cfg=norm_cfg),
            ResLayer(
                BasicBlock,
                1,
                width // 2,
                width,
                stride=stem_stride // 2,
                norm_cfg=norm_cfg,
            ),
        )
        if self.num_stacks == 1:
            # MMPose builds the layers between stacks for a single stack too;
            # parameters without a gradient stop distributed training.
            self.inters = nn.Identity()
        narrowest = min(width // 2, *stage_channels)
        self.memory_format = (
            torch.channels_last
            if channels_last and narrowest >= 16
            else torch.contiguous_format
        )
        self.to(memory_format=self.memory_format)

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the features of every stack.

        Args:
            x: ``(B, 3, H, W)`` images.

        Returns:
            For each stack ``(B, feat_channel, H / s, W / s)``, s being the stem's
            stride.
        """
        return super().forward(x.contiguous(memory_format=self.memory_format))
