"""Finished targets in a file that anybody can read and write.

An ``.npz`` archive of numpy arrays, one a name, without pickles: ``keys``,
``annotations`` and ``targets``, and what else is known of them (:data:`ARRAYS`).
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from semamb_mm.checkpoints import read_checkpoint
from semamb_mm.formats.files import atomic_write

from .saved import CHECKPOINT_KEY, SavedTargets
from .store import LatentTargetStore

NEEDED = ("keys", "annotations", "targets")
# Of N samples and K landmarks; all but keys and the needed ones may be left out.
ARRAYS = dict(
    annotations="(N, K, 2) image pixels",
    targets="(N, K, 2) image pixels",
    visible="(N, K), False where a landmark is not annotated",
    found="(N, K, 2) what searches found, the mean over views",
    spread="(N, K, 3) covariance xx, yy, xy of a single view around found",
    counts="(N, K) views",
    energies="(N, K) the search's objective",
    scatter="sums of ViewScatter",
)


def write_targets(
    path: str | os.PathLike, store: LatentTargetStore, made_by: Mapping
) -> None:
    """Write a store's targets, with all that is known of them.

    Args:
        path: The file; it appears whole or not at all.
        store: The targets.
        made_by: What made them, such as the tool and its options; JSON is made of it.
    """
    arrays = {name: getattr(store, name) for name in ARRAYS}
    arrays["scatter"] = store.scatter.sums
    with atomic_write(path, "wb") as file:
        np.savez_compressed(
            file,
            keys=np.array(store.keys),
            made_by=np.array(json.dumps(dict(made_by))),
            **{name: np.asarray(values) for name, values in arrays.items()},
        )


def read_targets(path: str | os.PathLike) -> SavedTargets:
    """Return the targets of a file of :func:`write_targets`, or of a checkpoint.

    Args:
        path: The file. A checkpoint is one of a training with
            :class:`LatentTargetHook`.

    Raises:
        ValueError: If it holds no targets, or what it holds does not fit together.
        SystemExit: If there is no such file, or it cannot be read.
    """
    if not Path(path).is_file():
        raise SystemExit(
            f"targets file {path} does not exist. tools/search_targets.py and "
            "tools/cross_fit.py write such files; a checkpoint with latent targets "
            "will do as well"
        )
    arrays = _arrays(path)
    if arrays is not None:
        return _of_arrays(arrays, str(path))
    content = read_checkpoint(path)
    if CHECKPOINT_KEY not in content:
        raise ValueError(
            f"{path} holds no latent targets: it was not trained with "
            "LatentTargetHook. tools/search_targets.py makes targets of it"
        )
    return SavedTargets.from_state(content[CHECKPOINT_KEY])


def _arrays(path: str | os.PathLike) -> dict[str, np.ndarray] | None:
    """Return the arrays of an ``.npz`` archive; None of any other file."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    # A checkpoint is a zip archive, too, in a folder of its own.
    if not names or any("/" in name or not name.endswith(".npy") for name in names):
        return None
    with np.load(path, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _of_arrays(arrays: dict[str, np.ndarray], path: str) -> SavedTargets:
    missing = [name for name in NEEDED if name not in arrays]
    if missing:
        raise ValueError(
            f"{path} is no file of targets: it lacks {missing}; it has "
            f"{sorted(arrays)}. Needed are {list(NEEDED)}, and there may be "
            f"{[name for name in ARRAYS if name not in NEEDED]}"
        )
    keys = [str(key) for key in arrays["keys"]]
    targets = arrays["targets"]
    samples, landmarks = targets.shape[:2] if targets.ndim == 3 else (0, 0)
    places = (samples, landmarks)
    shapes = dict.fromkeys(("annotations", "targets", "found"), (*places, 2))
    shapes.update(dict.fromkeys(("visible", "energies", "counts"), places))
    shapes.update(keys=(samples,), spread=(*places, 3))
    for name, shape in shapes.items():
        if name in arrays and arrays[name].shape != shape:
            raise ValueError(
                f"{path}: {name} is {arrays[name].shape}, expected {shape} with "
                f"targets of {targets.shape}"
            )

    def tensor(name: str, dtype: torch.dtype, *shape: int) -> Tensor:
        if name not in arrays:
            return torch.zeros(shape, dtype=dtype)
        return torch.from_numpy(arrays[name]).to(dtype)

    return SavedTargets(
        keys=keys,
        targets=tensor("targets", torch.float32),
        found=tensor("found" if "found" in arrays else "targets", torch.float32),
        energies=tensor("energies", torch.float16, *places),
        counts=tensor("counts", torch.int16, *places),
        spread=tensor("spread", torch.float16, *places, 3),
        fingerprint="",
        annotations=tensor("annotations", torch.float32),
        scatter=torch.from_numpy(arrays["scatter"]) if "scatter" in arrays else None,
        made_by=str(arrays.get("made_by", "")),
    )
