"""The store of latent targets: one image-pixel position a landmark."""

from __future__ import annotations

import hashlib
import logging
import zlib
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from semamb_mm.faces.sizes import face_size
from semamb_mm.functional import ViewScatter

from .search import SearchResult

# Under which a checkpoint holds the store.
CHECKPOINT_KEY = "latent_targets"
STORE_VERSION = 3


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
        counts (Tensor): ``(N, K)`` int32, shared; how often a landmark was
            searched.
        spread (Tensor): ``(N, K, 3)`` float32, shared; covariance xx, yy, xy of what a
            single view finds, image pixels squared, estimated without bias over the
            views that ``found`` averages. 0 before the second view; NaN where unknown,
            as after a checkpoint of before.
        scatter (ViewScatter): Which part of the spread landmarks do not share.
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
        shape = annotations.shape[:2]
        self.counts = torch.zeros(shape, dtype=torch.int32).share_memory_()
        self.spread = torch.zeros(*shape, 3).share_memory_()
        self.scatter = ViewScatter(shape[1])
        frames = [None] * len(self.keys) if frames is None else list(frames)
        places = [(i, 0) if f is None else f for i, f in enumerate(frames)]
        numbers = {video: i for i, (video, _) in enumerate(places)}
        self.sequences = torch.tensor([numbers[video] for video, _ in places])
        self.frame_numbers = torch.tensor([number for _, number in places])
        # What a sample's augmentation is seeded with: its key, and [seed, epoch or
        # iteration]; which view this process fetches, and for which iteration.
        hashes = (zlib.crc32(key.encode()) for key in self.keys)
        self.key_hashes = np.fromiter(hashes, np.int64, len(self.keys))
        self.view: tuple[int, int | None] = (0, None)
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

        The ``n``-th view of a landmark counts ``max(momentum, 1 / n)``, the ones before
        it the rest. Different views of a sample all count, in the order of their
        numbers; the same view twice, as a distributed sampler pads, counts once.
        Landmarks whose search met heatmaps that are not finite stay as they are; a
        warning tells how many.

        Args:
            result: Of samples of this store.
            momentum: Least share of the newest search, in (0, 1].

        Returns:
            ``(B, K)`` bool, which landmarks were searched.
        """
        searched = result.searched & self.visible[result.indices]
        usable = searched & torch.isfinite(result.energies)
        usable &= torch.isfinite(result.found).all(-1)
        unusable = int((searched & ~usable).sum())
        if unusable:
            print_log(
                f"{unusable} landmark searches met heatmaps that are not finite; "
                "these targets stay as they were.",
                logger="current",
                level=logging.WARNING,
            )
        for rows in _rounds(result.indices, result.views):
            self._average(
                result.indices[rows],
                result.found[rows].float(),
                result.energies[rows].float(),
                usable[rows],
                momentum,
            )
        return searched

    def _average(
        self,
        rows: Tensor,
        found: Tensor,
        energies: Tensor,
        usable: Tensor,
        momentum: float,
    ) -> None:
        """Add one view of each of some samples to mean and spread.

        West's (1979) recursion, with the weights of :meth:`record`: the new view moves
        the mean by its share of the difference ``d``, and the covariance becomes
        ``(1 - share) * (covariance + share * d d')``, divided by one less the sum of
        the squared weights.
        """
        counts = self.counts[rows] + 1
        share = counts.float().reciprocal().clamp(min=momentum)
        difference = found - self.found[rows]
        mean = self.found[rows] + share[..., None] * difference
        x, y = difference.unbind(-1)
        squares = torch.stack((x * x, y * y, x * y), -1)
        before = squared_weights(counts - 1, momentum)
        sizes = self.face_sizes(rows)[:, None, None] * (1 + before).sqrt()[..., None]
        self.scatter.update(difference / sizes, usable & (counts > 1))
        spread = self.spread[rows] * (1 - before)[..., None]
        # A single difference, of a variance of 1 + the sum of the squared weights.
        guess = squares * ((1 - before) / (1 + before))[..., None]
        spread = torch.where(torch.isnan(spread), guess, spread)
        spread = (1 - share)[..., None] * (spread + share[..., None] * squares)
        after = 1 - squared_weights(counts, momentum)
        spread = spread / torch.where(after > 0, after, 1)[..., None]
        self.counts[rows] = torch.where(usable, counts, self.counts[rows])
        self.energies[rows] = torch.where(usable, energies, self.energies[rows])
        usable = usable[..., None]
        self.spread[rows] = torch.where(usable, spread, self.spread[rows])
        mean = torch.where(usable, mean, self.found[rows])
        self.found[rows] = mean
        self.targets[rows] = torch.where(usable, mean, self.targets[rows])

    def update(self, indices: Tensor, found: Tensor, energies: Tensor) -> None:
        """Write positions and energies; the positions are the targets too.

        Where a sample occurs twice its first row counts.

        Args:
            indices: ``(M,)`` rows of the store.
            found: ``(M, K, 2)`` image pixels; rows that are not finite
                are passed over landmark by landmark.
            energies: ``(M, K)``.
        """
        (first,) = _rounds(indices, torch.zeros_like(indices))
        rows, found, energies = indices[first], found[first], energies[first]
        usable = torch.isfinite(found).all(-1) & torch.isfinite(energies)
        self._average(rows, found.float(), energies.float(), usable, momentum=1.0)

    def views(self, momentum: float) -> Tensor:
        """Return ``(N, K)`` float32: of how many views ``found`` is worth the mean.

        That is ``counts`` at first. As older views are forgotten, no more are gained:
        with a momentum of 0.1 about 19. 1 where ``spread`` is unknown.
        """
        number = squared_weights(self.counts, momentum).reciprocal()
        number = torch.where(self.counts > 0, number, 0)
        return torch.where(
            torch.isnan(self.spread).any(-1), number.clamp(max=1), number
        )

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
            spread=self.spread.clone(),
            scatter=self.scatter.sums.clone(),
        )

    def load_state_dict(self, state: dict) -> None:
        """Take over the targets of a checkpoint made on the same data.

        Raises:
            ValueError: If the state belongs to other data; the message names
                the first difference.
        """
        if state.get("version") not in (2, STORE_VERSION):
            raise ValueError(
                f"latent targets of version {state.get('version')!r} in the "
                f"checkpoint; this code reads versions 2 and {STORE_VERSION}"
            )
        if state["fingerprint"] != self.fingerprint():
            raise ValueError(
                "the checkpoint's latent targets belong to another data set: "
                f"{self._difference(state)}. Resume on the data the checkpoint "
                "was trained on, or use load_from without resume, which starts "
                "again from the annotations."
            )
        for name in ("targets", "found", "energies"):
            getattr(self, name).copy_(state[name])
        counts, spread = state["counts"], state.get("spread")
        if spread is None:  # version 2 counted samples
            counts = counts[:, None] * self.visible
            spread = torch.where(counts > 0, torch.nan, 0)[..., None]
        self.counts.copy_(counts)
        self.spread.copy_(spread)
        self.scatter.sums.copy_(state.get("scatter", torch.zeros(())))

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


def squared_weights(counts: Tensor, momentum: float) -> Tensor:
    """Return the sum of the squares of the views' weights in a running mean.

    Args:
        counts: How many views there were; the ``n``-th counted ``max(momentum, 1 /
            n)``, those before it the rest. 0 is taken for 1.
        momentum: In (0, 1].

    Returns:
        float32 of the same shape: ``1 / n`` up to ``n = 1 / momentum``, and from there
        on towards ``momentum / (2 - momentum)``.
    """
    counts = counts.clamp(min=1).float()
    equal = int(1 / momentum + 1e-9)
    limit = momentum / (2 - momentum)
    rest = (counts - equal).clamp(min=0)
    forgotten = limit + (1 / equal - limit) * (1 - momentum) ** (2 * rest)
    return torch.where(counts > equal, forgotten, counts.reciprocal())


def _rounds(indices: Tensor, views: Tensor) -> list[Tensor]:
    """Return places in ``indices``: everyone's first view, everyone's second, ...

    Views of a sample are in the order of their numbers; where a number occurs twice
    its first place counts.
    """
    order = torch.argsort(views, stable=True)
    order = order[torch.argsort(indices[order], stable=True)]
    rows, numbers = indices[order], views[order]
    new_row = torch.ones(len(order), dtype=torch.bool)
    new_row[1:] = rows[1:] != rows[:-1]
    new_view = new_row.clone()
    new_view[1:] |= numbers[1:] != numbers[:-1]
    order, new_row = order[new_view], new_row[new_view]
    place = torch.arange(len(order))
    nth = place - torch.cummax(torch.where(new_row, place, 0), 0).values
    rounds = int(nth.max()) + 1 if len(order) else 1
    return [order[nth == n] for n in range(rounds)]
