"""Small tensors on their way to a device."""

from __future__ import annotations

import torch
from torch import Tensor

# A copy from pageable memory is staged before the call returns: what it is taken from
# may change at once. Tensors on meta have no contents.
_STAGED = ("cuda", "meta")


def send(values: Tensor, device: torch.device) -> Tensor:
    """Return host values on a device, without waiting for what that is busy with.

    Args:
        values: On the CPU, or on the device already.
        device: Where they are wanted.
    """
    return values.to(device, non_blocking=device.type in _STAGED)
