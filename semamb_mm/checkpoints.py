"""Whether a checkpoint can be read, is of the model at hand, and has a device."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.hooks import Hook
from mmengine.logging import MMLogger
from mmengine.model import is_model_wrapper
from mmengine.runner.checkpoint import _load_checkpoint
from torch import nn

_WRONG_SHAPE = re.compile(r"size mismatch for (\S+):")


def read_checkpoint(path: str | os.PathLike) -> dict:
    """Return a checkpoint's content, on the CPU.

    Args:
        path: A file, or an address that MMEngine reads (``https://``, ...).

    Raises:
        SystemExit: If there is no such file, or it is none that PyTorch reads.
    """
    name = str(path)
    if "://" not in name:
        if not Path(name).is_file():
            raise SystemExit(f"checkpoint file {name} does not exist")
        with open(name, "rb") as file:
            start = file.read(20)
        # Zip archives, pickles, and the tar archives of long ago begin so.
        if not start.startswith((b"PK", b"\x80")) and b"\0" not in start:
            raise SystemExit(
                f"{name} is not a checkpoint: it begins with {start.decode('latin1')!r}"
            )
    try:
        content = _load_checkpoint(name, map_location="cpu")
    except Exception as error:  # whatever the reading of a damaged file ends in
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise SystemExit(
            f"{name} cannot be read as a checkpoint: {reason[0]}"
        ) from error
    if not isinstance(content, Mapping):
        raise SystemExit(
            f"{name} is not a checkpoint: it holds a {type(content).__name__}, not a "
            "dict of weights"
        )
    return dict(content)


def check_fit(model: nn.Module, content: Mapping, path: str | os.PathLike) -> None:
    """See how much of a model comes from a checkpoint.

    Counted is what the model takes, after its modules have renamed what they rename.
    The tensors that fit are loaded by this.

    Args:
        model: As the config says.
        content: Of :func:`read_checkpoint`.
        path: Named in the message.

    Raises:
        SystemExit: If nothing fits. If part of it does, a warning says how much.
    """
    weights = content.get("state_dict", content)
    weights = {name.removeprefix("module."): w for name, w in weights.items()}
    model = model.module if is_model_wrapper(model) else model
    wanted = {name for name, _ in model.named_parameters()}
    missing, unused = _misfits(model, weights)
    lost = sorted(wanted & missing)
    if wanted and len(lost) == len(wanted):
        raise SystemExit(
            f"{path} is of another model: it has none of the {len(wanted)} parameters "
            f"of the config's model, such as {lost[0]}; it holds {_such_as(weights)}"
        )
    if lost or unused:
        MMLogger.get_current_instance().warning(
            f"{path} does not fit the config's model entirely: {len(lost)} of the "
            f"model's {len(wanted)} parameters stay as initialised"
            + (f" ({lost[0]}, ...)" if lost else "")
            + f", and {len(unused)} of the checkpoint's are left out"
            + (f" ({sorted(unused)[0]}, ...)" if unused else "")
        )


def _misfits(model: nn.Module, weights: Mapping) -> tuple[set[str], set[str]]:
    """Return the model's tensors that get no value, and the checkpoint's left over."""
    missing: list[str] = []
    unexpected: list[str] = []
    bad: list[str] = []

    # As torch and MMEngine load, which tell it to the log and to nobody else.
    def load(module: nn.Module, mine: dict, prefix: str) -> None:
        module._load_from_state_dict(mine, prefix, {}, True, missing, unexpected, bad)
        for name, child in module._modules.items():
            if child is not None:
                start = f"{prefix}{name}."
                below = {k: v for k, v in mine.items() if k.startswith(start)}
                load(child, below, start)

    load(model, dict(weights), "")
    wrong = {
        found[1] for found in map(_WRONG_SHAPE.match, map(str.strip, bad)) if found
    }
    return set(missing) | wrong, set(unexpected)


def _such_as(weights: Mapping) -> str:
    names = sorted(map(str, weights))
    return f"{len(names)}, such as {names[0]}" if names else "nothing"


def check_device(name: str) -> None:
    """See that a device is here.

    Raises:
        SystemExit: If not, or if PyTorch knows none of that name.
    """
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SystemExit(
            f"--device {name}: expected cpu, cuda, cuda:1, ... or mps"
        ) from error
    count = torch.cuda.device_count()
    if device.type == "cuda" and (device.index or 0) >= count:
        raise SystemExit(
            f"--device {name}: PyTorch {torch.__version__} sees {count or 'no'} CUDA "
            f"GPU{'s' * (count != 1)} here; without --device the CPU is taken"
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise SystemExit(f"--device {name}: PyTorch sees no Apple GPU here")


class CheckpointFits(Hook):
    """Calls :func:`check_fit` on what a Runner loads, before it does."""

    priority = "VERY_HIGH"

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        """See whether it fits."""
        check_fit(runner.model, checkpoint, runner._load_from or "the checkpoint")
