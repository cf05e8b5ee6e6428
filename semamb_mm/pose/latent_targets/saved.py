"""Latent targets as they are saved, in a checkpoint in types that safe loading takes.

What the data set gives is not written again: annotations are told by a fingerprint, and
keys are compressed. Positions are float32; what needs no more is float16 or an integer.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

# Under which a checkpoint holds the targets.
CHECKPOINT_KEY = "latent_targets"
STORE_VERSION = 3


@dataclass(frozen=True)
class SavedTargets:
    """Latent targets; a checkpoint's know the data set by hash.

    Attributes:
        keys: ``N`` sample keys.
        targets: ``(N, K, 2)`` float32, image pixels.
        found: ``(N, K, 2)`` float32; what searches found.
        energies: ``(N, K)`` the search's objective at its last minimum.
        counts: ``(N, K)`` how often each landmark was searched; ``(N,)`` in version 2.
        spread: ``(N, K, 3)``, see :class:`LatentTargetStore`; None in version 2.
        fingerprint: Of keys and annotations.
        annotations: ``(N, K, 2)``; None in checkpoints of now.
        marks: ``(N,)`` a hash of each sample's annotation; None in those of before.
        scatter: Sums of :class:`semamb_mm.functional.ViewScatter`; None where it is
            not known.
        suspects: ``(N, K)`` bool, labels that weigh nothing in the loss; None where
            there are none.
        made_by: What made them, of a file of targets.
    """

    keys: list[str]
    targets: Tensor
    found: Tensor
    energies: Tensor
    counts: Tensor
    spread: Tensor | None
    fingerprint: str
    annotations: Tensor | None = None
    marks: Tensor | None = None
    scatter: Tensor | None = None
    suspects: Tensor | None = None
    made_by: str = ""

    @classmethod
    def from_state(cls, state: dict) -> SavedTargets:
        """Return what a checkpoint's entry holds.

        Raises:
            ValueError: If it is of another version.
        """
        if state.get("version") not in (2, STORE_VERSION):
            raise ValueError(
                f"latent targets of version {state.get('version')!r} in the "
                f"checkpoint; this code reads versions 2 and {STORE_VERSION}"
            )
        keys = state["keys"]
        return cls(
            keys=unpack_keys(keys) if isinstance(keys, Tensor) else list(keys),
            targets=state["targets"],
            found=state.get("found", state["targets"]),
            energies=state["energies"],
            counts=state["counts"],
            spread=state.get("spread"),
            fingerprint=state["fingerprint"],
            annotations=state.get("annotations"),
            marks=state.get("marks"),
            scatter=state.get("scatter"),
            suspects=state.get("suspects"),
        )

    @cached_property
    def index(self) -> dict[str, int]:
        """Key to row."""
        return {key: row for row, key in enumerate(self.keys)}

    def rows_of(
        self, keys: Sequence[str], annotations: Tensor, visible: Tensor, source: str
    ) -> Tensor:
        """Return the rows ``(n,)`` of a data set's samples, in any order, compared.

        Args:
            keys: ``n``; others that are saved do not matter.
            annotations: ``(n, K, 2)``.
            visible: ``(n, K)`` bool; with an annotation of each landmark at hand the
                others are not compared.
            source: What they were saved in, for the message.

        Raises:
            ValueError: If a sample is not among them, has another annotation, or a
                visible landmark has no finite target; it names sample and source.
        """
        landmarks = self.targets.shape[1]
        if landmarks != annotations.shape[1]:
            raise ValueError(
                f"{source} has targets of {landmarks} landmarks, sample {keys[0]!r} of "
                f"the train data set has {annotations.shape[1]}"
            )
        missing = [key for key in keys if key not in self.index]
        if missing:
            raise ValueError(
                f"{source} has no targets for sample {missing[0]!r} of the train data "
                f"set, and for {len(missing)} of {len(keys)} in all; it has "
                f"{len(self.keys)}, such as {self.keys[0]!r}"
            )
        rows = torch.tensor([self.index[key] for key in keys])
        if self.annotations is not None:
            changed = (self.annotations[rows] != annotations).any(-1) & visible
        else:
            changed = (self.marks[rows] != annotation_marks(annotations))[:, None]
        lost = ~torch.isfinite(self.targets[rows]).all(-1) & visible
        for wrong, why in (
            (changed, "has targets of another annotation of sample {}: make them anew"),
            (lost, "has a target that is not finite, of sample {}"),
        ):
            if wrong.any():
                key = keys[int(wrong.any(1).nonzero()[0])]
                raise ValueError(f"{source} {why.format(repr(key))}")
        return rows

    def difference(self, keys: list[str], annotations: Tensor) -> str:
        """Say what tells the data set from the one that was trained on."""
        if len(self.keys) != len(keys):
            return f"it has {len(self.keys)} samples, this data set {len(keys)}"
        for mine, other in zip(keys, self.keys):
            if mine != other:
                return f"it has sample {other!r} where this data set has {mine!r}"
        landmarks = self.targets.shape[1]
        if landmarks != annotations.shape[1]:
            return (
                f"it has {landmarks} landmarks a sample, this data set "
                f"{annotations.shape[1]}"
            )
        if self.annotations is not None:
            changed = (self.annotations != annotations).any(-1).any(-1)
        else:
            changed = self.marks != annotation_marks(annotations)
        (row, *_) = changed.nonzero()[:, 0].tolist()
        return f"the annotation of {keys[row]!r} is another"


def pack_keys(keys: list[str]) -> Tensor:
    """Return keys as a compressed ``uint8`` tensor."""
    packed = zlib.compress("\0".join(keys).encode())
    return torch.frombuffer(bytearray(packed), dtype=torch.uint8)


def unpack_keys(packed: Tensor) -> list[str]:
    """Return the keys of :func:`pack_keys`."""
    return zlib.decompress(packed.numpy().tobytes()).decode().split("\0")


def pack_counts(counts: Tensor) -> Tensor:
    """Return counts in one byte each, if they are small enough."""
    return counts.to(torch.uint8) if counts.numel() and counts.max() < 256 else counts


def annotation_marks(annotations: Tensor) -> Tensor:
    """Return a hash of each sample's annotation, ``(N,)`` int32."""
    rows = annotations.contiguous().numpy().reshape(len(annotations), -1)
    marks = np.fromiter(map(zlib.crc32, rows), np.uint32, len(rows))
    return torch.from_numpy(marks.view(np.int32))
