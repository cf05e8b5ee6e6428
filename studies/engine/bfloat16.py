"""Training a backbone under bfloat16 autocast on a processor.

Processors that multiply bfloat16 do so in half the time. MMEngine's AmpOptimWrapper
insists on a GPU, and MMPose's accuracy of the training samples cannot read bfloat16: so
heads stay in float32.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.optim import OptimWrapper
from mmengine.runner.amp import autocast
from torch import Tensor, nn


class BFloat16OptimWrapper(OptimWrapper):
    """Runs the backbone under autocast; needs no loss scale."""

    @contextmanager
    def optim_context(self, model: nn.Module) -> Iterator[None]:
        """Enter the model's own context, with a backbone in bfloat16."""
        backbone = getattr(model, "module", model).backbone
        forward = backbone.forward

        def in_bfloat16(images: Tensor) -> tuple[Tensor, ...]:
            with autocast(device_type="cpu"):
                found = forward(images)
            return tuple(maps.float() for maps in found)

        backbone.forward = in_bfloat16
        try:
            with super().optim_context(model):
                yield
        finally:
            del backbone.forward
