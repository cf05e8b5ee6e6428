"""The store of latent targets: one image-pixel position a landmark."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor

from semamb_mm.faces.sizes import face_size

from .search import SearchResult

# Under which a checkpoint holds the store.
CHECKPOINT_KEY = "latent_targets"
STORE_VERSION = 2


class LatentTargetStore:
    """Latent targets of every training sample, in image pixels.

    The tensors live in shared memory: dataloader workers, persistent ones
    too, see what the main process writes. A sample is found by its key, or
    by its index once the key has been looked up.

    Args:
        keys: ``N`` unique sample keys.
        annotations: ``(N, K, 2)`` annotated ``(x, y)``, image pixels.
        visible: ``(N, K)``, 0 where a landmark is not annotated.
        frames: For each sample its video and its number in it; None for a still
            image, and without the argument for all. Not part of the state.

    Attributes:
        annotations (Tensor): ``(N, K, 2)`` float32.
        visible (Tensor): ``(N, K)`` bool.
        targets (Tensor): ``(N, K, 2)`` float32, shared; the annotations at
            first.
        found (Tensor): ``(N, K, 2)`` float32, shared; what searches found, over
            their views; the targets unless a :class:`TargetMaker` makes them of it.
        energies (Tensor): ``(N, K)`` float32, shared; the search's objective
            at its last minimum, 0 before.
        counts (Tensor): ``(N,)`` int32, shared; how often a sample was
            searched.
        sequences (Tensor): ``(N,)`` int64, the same for frames of one video; a still
            image is a sequence of its own.
        frame_numbers (Tensor): ``(N,)`` int64.

    Raises:
        ValueError: On duplicate keys or shapes that disagree.
    """

    def __init__(
        self,
        keys: Sequence[str],
        annotations: Tensor,
        visible: Tensor,
        frames: Sequence[tuple[str, int] | None] | None = None,
    ) -> None:
        self.keys = [str(key) for key in keys]
        self.index = {key: i for i, key in enumerate(self.keys)}
        if len(self.index) != len(self.keys):
            seen: set[str] = set()
            twice = next(k for k in self.keys if k in seen or seen.add(k))
            raise ValueError(
                f"sample key {twice!r} occurs more than once: two samples would "
                "share one latent target. Give the data sets different "
                "'dataset_name's, or a 'sample_key' to each sample."
            )
        if annotations.dim() != 3 or annotations.shape[0] != len(self.keys):
            raise ValueError(
                f"annotations must be ({len(self.keys)}, K, 2), got "
                f"{tuple(annotations.shape)}"
            )
        if visible.shape != annotations.shape[:2]:
            raise ValueError(
                f"visible must be {tuple(annotations.shape[:2])}, got "
                f"{tuple(visible.shape)}"
            )
        self.annotations = annotations.to(torch.float32).clone()
        self.visible = visible > 0
        self.targets = self.annotations.clone().share_memory_()
        self.found = self.annotations.clone().share_memory_()
        self.energies = torch.zeros(annotations.shape[:2]).share_memory_()
        self.counts = torch.zeros(len(self.keys), dtype=torch.int32).share_memory_()
        frames = [None] * len(self.keys) if frames is None else list(frames)
        places = [(i, 0) if f is None else f for i, f in enumerate(frames)]
        numbers = {video: i for i, (video, _) in enumerate(places)}
        self.sequences = torch.tensor([numbers[video] for video, _ in places])
        self.frame_numbers = torch.tensor([number for _, number in places])
        # What a sample's augmentation is seeded with: [seed, epoch or iteration].
        self._clock = torch.zeros(2, dtype=torch.int64).share_memory_()

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def num_keypoints(self) -> int:
        """``K``."""
        return self.annotations.shape[1]

    @property
    def clock(self) -> tuple[int, int]:
        """``(seed, epoch or iteration)``, as the main process set it last."""
        seed, epoch = self._clock.tolist()
        return seed, epoch

    @clock.setter
    def clock(self, seed_and_epoch: tuple[int, int]) -> None:
        self._clock.copy_(torch.tensor(seed_and_epoch, dtype=torch.int64))

    def face_sizes(self, rows: Tensor) -> Tensor:
        """Return the sizes of some samples' faces, ``(n,)`` float64 image pixels.

        A size is the geometric mean of the sides of the visible landmarks' box.
        """
        points = self.annotations[rows].double().numpy()
        return torch.from_numpy(face_size(points, self.visible[rows].numpy()))

    def record(self, result: SearchResult, momentum: float) -> Tensor:
        """Take over what a search found; it is the target too.

        The ``n``-th search of a sample counts ``max(momentum, 1 / n)``, the ones before
        it the rest. Landmarks whose search met heatmaps that are not finite stay as
        they are; a warning tells how many.

        Args:
            result: Of samples of this store.
            momentum: Least share of the newest search, in (0, 1].

        Returns:
            ``(B, K)`` bool, which landmarks were searched.
        """
        rows = result.indices
        searched = result.searched & self.visible[rows]
        before = self.found[rows]
        nth = self.counts[rows] + 1
        share = nth.float().reciprocal().clamp(min=momentum)[:, None, None]
        step = share * (result.found.float() - before)
        found = torch.where(searched[..., None], before + step, before)
        energies = torch.where(searched, result.energies.float(), self.energies[rows])
        unusable = int((searched & ~torch.isfinite(energies)).sum())
        if unusable:
            print_log(
                f"{unusable} landmark searches met heatmaps that are not finite; "
                "these targets stay as they were.",
                logger="current",
                level=logging.WARNING,
            )
        self.update(rows, found, energies)
        return searched

    def update(self, indices: Tensor, found: Tensor, energies: Tensor) -> None:
        """Write positions and energies; the positions are the targets too.

        Where a sample occurs twice its first row counts, so that the copies
        which a distributed sampler pads with change nothing.

        Args:
            indices: ``(M,)`` rows of the store.
            found: ``(M, K, 2)`` image pixels; rows that are not finite
                are passed over landmark by landmark.
            energies: ``(M, K)``.
        """
        unique, inverse = torch.unique(indices, return_inverse=True)
        order = torch.arange(len(indices)).flip(0)
        first = torch.empty_like(unique).scatter_(0, inverse.flip(0), order)
        found, energies = found[first], energies[first]
        usable = torch.isfinite(found).all(-1) & torch.isfinite(energies)
        for tensor in (self.found, self.targets):
            tensor[unique] = torch.where(
                usable[..., None], found.to(torch.float32), tensor[unique]
            )
        self.energies[unique] = torch.where(
            usable, energies.to(torch.float32), self.energies[unique]
        )
        self.counts[unique] += 1

    def fingerprint(self) -> str:
        """Return SHA-256 over keys and annotations: the same data, the same text."""
        digest = hashlib.sha256("\n".join(self.keys).encode())
        digest.update(self.annotations.numpy().tobytes())
        return digest.hexdigest()

    def state_dict(self) -> dict:
        """Return everything, in types that ``torch.load(weights_only=True)`` takes."""
        return dict(
            version=STORE_VERSION,
            fingerprint=self.fingerprint(),
            keys=list(self.keys),
            annotations=self.annotations.clone(),
            visible=self.visible.clone(),
            targets=self.targets.clone(),
            found=self.found.clone(),
            energies=self.energies.clone(),
            counts=self.counts.clone(),
        )

    def load_state_dict(self, state: dict) -> None:
        """Take over the targets of a checkpoint made on the same data.

        Raises:
            ValueError: If the state belongs to other data; the message names
                the first difference.
        """
        if state.get("version") != STORE_VERSION:
            raise ValueError(
                f"latent targets of version {state.get('version')!r} in the "
                f"checkpoint; this code reads version {STORE_VERSION}"
            )
        if state["fingerprint"] != self.fingerprint():
            raise ValueError(
                "the checkpoint's latent targets belong to another data set: "
                f"{self._difference(state)}. Resume on the data the checkpoint "
                "was trained on, or use load_from without resume, which starts "
                "again from the annotations."
            )
        for name in ("targets", "found", "energies", "counts"):
            getattr(self, name).copy_(state[name])

    @classmethod
    def from_state_dict(cls, state: dict) -> LatentTargetStore:
        """Return a store read from a checkpoint, without the data set."""
        store = cls(state["keys"], state["annotations"], state["visible"])
        store.load_state_dict(state)
        return store

    def _difference(self, state: dict) -> str:
        theirs = state["keys"]
        if len(theirs) != len(self.keys):
            return f"it has {len(theirs)} samples, this data set {len(self.keys)}"
        for mine, other in zip(self.keys, theirs):
            if mine != other:
                return f"it has sample {other!r} where this data set has {mine!r}"
        if state["annotations"].shape != self.annotations.shape:
            return (
                f"it has {state['annotations'].shape[1]} landmarks a sample, this "
                f"data set {self.num_keypoints}"
            )
        changed = (state["annotations"] != self.annotations).any(-1)
        sample, landmark = changed.nonzero()[0].tolist()
        return (
            f"the annotation of {self.keys[sample]!r}, landmark {landmark}, was "
            f"{state['annotations'][sample, landmark].tolist()} and is "
            f"{self.annotations[sample, landmark].tolist()}"
        )
