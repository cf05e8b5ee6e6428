"""Counting what makes the host wait for a device, also on a machine without a GPU.

Tensors on the device ``meta`` have no contents, so that an operation that needs a value
on the host raises there. A copy to that device does not: :class:`HostSyncs` sees those
that PyTorch would wait for.
"""

from __future__ import annotations

import traceback
from collections import Counter
from pathlib import Path

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

ROOT = Path(__file__).resolve().parents[1]
# Operations whose result, or its size, the host must know.
VALUES = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "is_nonzero")


class HostSyncs(TorchDispatchMode):
    """Counts operations for which the host waits for a device.

    Attributes:
        found: Operation and the line of this repository that asks for it, to how
            often.
    """

    def __init__(self) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        """Run an operation, and note it if it waits."""
        kwargs = kwargs or {}
        name = func.overloadpacket.__name__
        if (name in VALUES or _is_masked(name, args)) and args[0].device.type != "cpu":
            self.found[f"{name} {_caller()}"] += 1
        result = func(*args, **kwargs)
        if name in ("_to_copy", "copy_", "copy") and not _asynchronous(args, kwargs):
            devices = {
                tensor.device.type
                for tensor in tree_leaves((args, result))
                if isinstance(tensor, Tensor)
            }
            if len(devices) > 1:
                self.found[f"copy {_caller()}"] += 1
        return result


def _is_masked(name: str, args) -> bool:
    """Whether an index is a mask, whose true elements must be counted."""
    return name == "index" and any(
        part is not None and part.dtype == torch.bool for part in args[1]
    )


def _asynchronous(args, kwargs) -> bool:
    """Whether a copy is not waited for: copy_ takes it as its third argument."""
    return kwargs.get("non_blocking", len(args) > 2 and args[2] is True)


def _caller() -> str:
    """Return the innermost line of this repository, outside this file."""
    for frame in reversed(traceback.extract_stack()):
        path = Path(frame.filename)
        if path.is_relative_to(ROOT / "semamb_mm"):
            return f"{path.relative_to(ROOT)}:{frame.lineno}"
    return "elsewhere"
