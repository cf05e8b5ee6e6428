"""Fixes for the stock stack that are safe to apply on import."""

from __future__ import annotations

import importlib
import re
import warnings
from collections.abc import Sequence
from importlib import metadata

# The versions that this project has been run with: from, and below.
_TESTED = dict(
    mmengine=("0.10.7", "0.11"),
    mmcv=("2.1.0", "2.2"),
    mmpose=("1.3.2", "1.4"),
    mmpretrain=("1.2.0", "1.3"),
)
# Where pip install NAME does not do: mmcv is compiled against the torch at hand, which
# may not be the newest; MMPose requires chumpy, which does not build; cv2 is not a name
# on PyPI.
_TORCH = "pip install torch==2.11.0 torchvision==0.26.0"
_INSTALL = dict(
    torch=_TORCH,
    torchvision=_TORCH,
    numpy="pip install 'numpy<2.4'",
    pkg_resources="pip install 'setuptools<81'",
    mmengine="pip install mmengine==0.10.7",
    mmcv="pip install --no-build-isolation mmcv==2.1.0",
    mmdet="pip install --no-deps mmdet==3.3.0",
    mmpose="pip install --no-deps mmpose==1.3.2",
    mmpretrain="pip install --no-deps mmpretrain==1.2.0",
    xtcocotools="pip install --no-build-isolation --no-binary xtcocotools xtcocotools",
    cv2="pip install opencv-python-headless",
    PIL="pip install pillow",
)
# What an import that fails says, and the cure, the first that fits. {name} is what was
# imported last.
_CURES = (
    (
        "numpy.dtype size changed|_ARRAY_API not found|compiled using NumPy 1",
        "It was built for another numpy. Build it anew: pip install --force-reinstall "
        "--no-deps --no-cache-dir --no-build-isolation --no-binary {name} {name}",
    ),
    (
        "pkg_resources",
        "setuptools 82 dropped what MMEngine imports: " + _INSTALL["pkg_resources"],
    ),
    (
        "torchvision::nms",
        f"torch and torchvision are not of one release: {_TORCH}",
    ),
    (
        "libGL|libgthread",
        "OpenCV is installed but does not load without a screen's libraries: pip "
        "uninstall opencv-python, then pip install --force-reinstall "
        "opencv-python-headless",
    ),
    (
        r"mmcv[\\/]_ext\S*: undefined symbol|_ext\S*: cannot open",
        "mmcv was compiled against another torch. Compile it anew: pip install "
        "--force-reinstall --no-deps --no-cache-dir --no-build-isolation --no-binary "
        "mmcv mmcv==2.1.0",
    ),
    (
        "MMCV==.* incompatible",
        "MMDetection 3.3.0 takes no mmcv from 2.2 on: " + _INSTALL["mmcv"],
    ),
    ("in1d", "MMPretrain 1.2.0 needs numpy below 2.4: " + _INSTALL["numpy"]),
)
_STATISTICS = ("mean", "max", "min", "current", "data")


def register_safe_globals() -> None:
    """Let ``torch.load(weights_only=True)`` read MMEngine's checkpoints.

    MMEngine 0.10.7 keeps its log history (``HistoryBuffer``, numpy arrays and
    scalars) in a checkpoint and loads it without ``weights_only=False``, so
    that ``--resume`` fails on torch >= 2.6. The few classes it needs are
    harmless; safe loading stays on.
    """
    try:
        import numpy as np
        import torch
    except (ImportError, OSError):  # semamb_mm.doctor says what is the matter
        return  # the rooms of numpy alone do without torch
    if not hasattr(torch.serialization, "add_safe_globals"):
        return
    try:
        from numpy._core import multiarray
    except ImportError:  # numpy < 2
        from numpy.core import multiarray  # type: ignore[no-redef]
    allowed: list = [
        multiarray._reconstruct,
        multiarray.scalar,
        np.ndarray,
        np.dtype,
        bytes,
    ]
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
    """Warn of packages outside the tested versions; never refuse them."""
    for package, (first, limit) in _TESTED.items():
        try:
            version = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
        # A half-removed package may have no version.
        if version and not release(first) <= release(version) < release(limit):
            warnings.warn(
                f"semamb_mm has been tested with {package} >= {first}, < {limit}; "
                f"{version} is installed and may behave differently",
                stacklevel=3,
            )


def require_framework(here: str, name: str, packages: Sequence[str]) -> None:
    """Import an OpenMMLab framework that a part of this package registers into.

    Args:
        here: That part.
        name: What the framework is called.
        packages: What is imported.

    Raises:
        ImportError: If one cannot be imported; tells why and what to install.
    """
    for package in packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ImportError(
                f"{here} needs {name} 1.x and what it imports; {package} could not be "
                f"imported ({error}). {remedy(error, error.name or '')}. See "
                "docs/install.md."
            ) from error


def remedy(error: BaseException, name: str) -> str:
    """Return what to do where an import fails, without a full stop.

    Args:
        error: What it raised.
        name: The module that was being imported, or that is missing.
    """
    root = name.partition(".")[0]
    for pattern, cure in _CURES:
        if re.search(pattern, str(error)):
            return cure.format(name=root)
    if name in ("mmcv.ops", "mmcv._ext"):
        return (
            "mmcv is here without its compiled operators, as in mmcv-lite: pip "
            f"uninstall mmcv-lite, then {_INSTALL['mmcv']}"
        )
    if isinstance(error, ModuleNotFoundError) and root:
        return f"Install it: {how_to_install(root)}"
    return "It is installed but does not load"


def how_to_install(module: str) -> str:
    """Return the command that installs what a module is part of."""
    root = module.partition(".")[0]
    return _INSTALL.get(root, f"pip install {root}")


def release(version: str) -> tuple[int, ...]:
    """Return the leading numbers of a version: ``'1.3.2rc1'`` gives ``(1, 3, 2)``."""
    numbers = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
