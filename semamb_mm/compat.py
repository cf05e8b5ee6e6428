"""Mends for the stock stack that are safe to apply on import."""

from __future__ import annotations

import warnings
from importlib import metadata

# First version of each package that this project has not been run with.
_UNTESTED = dict(mmengine="0.11", mmcv="2.2", mmpose="1.4", mmpretrain="1.3")
_STATISTICS = ("mean", "max", "min", "current", "data")


def register_safe_globals() -> None:
    """Let ``torch.load(weights_only=True)`` read MMEngine's checkpoints.

    MMEngine 0.10.7 keeps its log history (``HistoryBuffer``, numpy arrays and
    scalars) in a checkpoint and loads it without ``weights_only=False``, so
    that ``--resume`` fails on torch >= 2.6. The few classes it needs are
    harmless; safe loading stays on.
    """
    import numpy as np
    import torch

    if not hasattr(torch.serialization, "add_safe_globals"):
        return
    try:
        from numpy._core import multiarray
    except ImportError:  # numpy < 2
        from numpy.core import multiarray
    allowed = [multiarray._reconstruct, multiarray.scalar, np.ndarray, np.dtype, bytes]
    allowed += [type(np.dtype(code)) for code in np.typecodes["AllInteger"] + "?efdU"]
    try:
        from mmengine.logging import HistoryBuffer

        def history_buffer_method(owner: type, name: str):
            """``getattr`` for the one class whose methods checkpoints name."""
            if owner is not HistoryBuffer or name not in _STATISTICS:
                raise ValueError(
                    f"refused to load {getattr(owner, '__name__', owner)}.{name} "
                    "from a checkpoint"
                )
            return getattr(HistoryBuffer, name)

        # HistoryBuffer pickles its own methods through builtins.getattr, which
        # is not safe to allow; this stands in for it.
        allowed += [HistoryBuffer, (history_buffer_method, "builtins.getattr")]
    except ImportError:
        pass
    torch.serialization.add_safe_globals(allowed)


def warn_of_untested_versions() -> None:
    """Warn, once, of packages newer than the tested ones; never refuse them."""
    for package, limit in _UNTESTED.items():
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        if _release(version) >= _release(limit):
            warnings.warn(
                f"semamb_mm has been tested with {package} < {limit}; {version} is "
                "installed and may behave differently",
                stacklevel=3,
            )


def _release(version: str) -> tuple[int, ...]:
    """Leading numbers of a version: ``'1.3.2rc1'`` gives ``(1, 3, 2)``."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
