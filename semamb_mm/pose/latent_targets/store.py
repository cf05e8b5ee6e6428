"""The store of latent targets: one image-pixel position a landmark."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from mmengine.logging import print_log
from torch import Tensor

from semamb_mm.faces.sizes import sample_sizes
from semamb_mm.functional import ViewScatter

from .exchange import rounds
from .saved import (
    CHECKPOINT_KEY,
    STORE_VERSION,
    SavedTargets,
    annotation_marks,
    pack_counts,
    pack_keys,
)
from .search import SearchResult
from .shared import SharedTargets

__all__ = ["CHECKPOINT_KEY", "STORE_VERSION", "LatentTargetStore", "squared_weights"]
_LARGEST = torch.finfo(torch.float16).max


class LatentTargetStore:
    """Latent targets of every training sample, in image pixels.

    What data loader workers read lies in memory that is shared (``shared``): they,
    persistent ones too, see what the main process writes. A sample is found by its
    key, or by its row once the key has been looked up.

    Args:
        keys: ``N`` unique sample keys.
        annotations: ``(N, K, 2)`` annotated ``(x, y)``, image pixels.
        visible: ``(N, K)``, 0 where a landmark is not annotated.
        frames: For each sample its video and its number in it; None for a still
            image, and without the argument for all. Not part of the state.
        named: Whether other processes of this machine will open ``shared``.
        boxes: ``(N, 4)`` x1, y1, x2, y2 of the samples, image pixels; those without an
            area count as none. Not part of the state.
        opinions: What several annotators marked, ``(A, N, K, 2)`` image pixels, and
            where, ``(A, N, K)`` bool; None of one. Not part of the state.

    Attributes:
        annotations (Tensor): ``(N, K, 2)`` float32.
        visible (Tensor): ``(N, K)`` bool.
        shared (SharedTargets): What workers read, ``targets`` and ``visible`` among it.
        targets (Tensor): ``(N, K, 2)`` float32, shared; the annotations at
            first.
        suspects (Tensor): ``(N, K)`` bool, shared; labels that weigh nothing in the
            loss. None at first.
        found (Tensor): ``(N, K, 2)`` float32; what searches found, over
            their views; the targets unless a :class:`TargetMaker` makes them of it.
        energies (Tensor): ``(N, K)`` float16; the search's objective
            at its last minimum, 0 before.
        counts (Tensor): ``(N, K)`` int16; how often a landmark was searched.
        spread (Tensor): ``(N, K, 3)`` float16; covariance xx, yy, xy of what a
            single view finds, image pixels squared, estimated without bias over the
            views that ``found`` averages. 0 before the second view; NaN where unknown,
            as after a checkpoint of before.
        opinions: See the argument.
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
        named: bool = False,
        boxes: np.ndarray | None = None,
        opinions: tuple[Tensor, Tensor] | None = None,
    ) -> None:
        self.keys = [str(key) for key in keys]
        if len(set(self.keys)) != len(self.keys):
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
        self.annotations = annotations.to(torch.float32)
        self.shared = SharedTargets.create(self.keys, annotations, visible, named)
        self.visible, self.targets = self.shared.visible, self.shared.targets
        self.suspects = self.shared.suspects
        self.found = self.annotations.clone()
        shape = visible.shape
        self.energies = torch.zeros(shape, dtype=torch.float16)
        self.counts = torch.zeros(shape, dtype=torch.int16)
        self.spread = torch.zeros(*shape, 3, dtype=torch.float16)
        self.scatter = ViewScatter(shape[1])
        self._boxes = boxes
        self.opinions = opinions
        self.sequences, self.frame_numbers = _sequences(frames, len(self.keys))

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def num_keypoints(self) -> int:
        """``K``."""
        return self.annotations.shape[1]

    @cached_property
    def index(self) -> dict[str, int]:
        """Key to row."""
        return {key: row for row, key in enumerate(self.keys)}

    @cached_property
    def _sizes(self) -> Tensor:
        points, visible = self.annotations.numpy(), self.visible.numpy()
        return torch.from_numpy(sample_sizes(points, visible, self._boxes))

    def face_sizes(self, rows: Tensor) -> Tensor:
        """Return the sizes of some samples' faces, ``(n,)`` float64 image pixels.

        See :func:`semamb_mm.faces.sizes.sample_sizes`.
        """
        return self._sizes[rows]

    def record(
        self, result: SearchResult, momentum: float, *, move: bool = True
    ) -> Tensor:
        """Take over what a search found.

        The ``n``-th view of a landmark counts ``max(momentum, 1 / n)``, the ones before
        it the rest. Different views of a sample all count, in the order of their
        numbers; the same view twice, as a distributed sampler pads, counts once.
        Landmarks whose search met heatmaps that are not finite stay as they are; a
        warning tells how many.

        Args:
            result: Of samples of this store.
            momentum: Least share of the newest search, in (0, 1].
            move: Whether what was found is the target too.

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
        for places in rounds(result.indices, result.views):
            rows = result.indices[places]
            self._average(
                rows,
                result.found[places].float(),
                result.energies[places],
                usable[places],
                momentum,
            )
            if move:
                moved = torch.where(
                    usable[places][..., None], self.found[rows], self.targets[rows]
                )
                self.targets[rows] = moved
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
        counts = self.counts[rows].int() + 1
        share = counts.float().reciprocal().clamp(min=momentum)
        difference = found - self.found[rows]
        mean = self.found[rows] + share[..., None] * difference
        x, y = difference.unbind(-1)
        squares = torch.stack((x * x, y * y, x * y), -1)
        before = squared_weights(counts - 1, momentum)
        sizes = self.face_sizes(rows)[:, None, None] * (1 + before).sqrt()[..., None]
        self.scatter.update(difference / sizes, usable & (counts > 1))
        spread = self.spread[rows].float() * (1 - before)[..., None]
        # A single difference, of a variance of 1 + the sum of the squared weights.
        guess = squares * ((1 - before) / (1 + before))[..., None]
        spread = torch.where(torch.isnan(spread), guess, spread)
        spread = (1 - share)[..., None] * (spread + share[..., None] * squares)
        after = 1 - squared_weights(counts, momentum)
        spread = spread / torch.where(after > 0, after, 1)[..., None]
        energies = energies.clamp(max=_LARGEST).half()
        spread = spread.clamp(-_LARGEST, _LARGEST).half()
        counts = counts.clamp(max=torch.iinfo(torch.int16).max).short()
        self.counts[rows] = torch.where(usable, counts, self.counts[rows])
        self.energies[rows] = torch.where(usable, energies, self.energies[rows])
        usable = usable[..., None]
        self.spread[rows] = torch.where(usable, spread, self.spread[rows])
        self.found[rows] = torch.where(usable, mean, self.found[rows])

    def update(self, indices: Tensor, found: Tensor, energies: Tensor) -> None:
        """Write positions and energies; the positions are the targets too.

        Where a sample occurs twice its first row counts.

        Args:
            indices: ``(M,)`` rows of the store.
            found: ``(M, K, 2)`` image pixels; rows that are not finite
                are passed over landmark by landmark.
            energies: ``(M, K)``.
        """
        everywhere = torch.ones(energies.shape, dtype=torch.bool)
        result = SearchResult(
            *(indices, found, energies, everywhere, ~everywhere),
            views=torch.zeros_like(indices),
        )
        self.record(result, momentum=1.0)

    def views(self, momentum: float, rows: Tensor | slice = slice(None)) -> Tensor:
        """Return ``(n, K)`` float32: of how many views ``found`` is worth the mean.

        That is ``counts`` at first. As older views are forgotten, no more are gained:
        with a momentum of 0.1 about 19. 1 where ``spread`` is unknown.
        """
        counts, unknown = self.counts[rows], torch.isnan(self.spread[rows]).any(-1)
        number = squared_weights(counts, momentum).reciprocal()
        number = torch.where(counts > 0, number, 0)
        return torch.where(unknown, number.clamp(max=1), number)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over keys and annotations: the same data, the same text."""
        digest = hashlib.sha256("\n".join(self.keys).encode())
        digest.update(self.annotations.contiguous().numpy())
        return digest.hexdigest()

    @cached_property
    def _packed_data(self) -> dict:
        """What a checkpoint keeps of the data set."""
        marks = annotation_marks(self.annotations)
        return dict(
            fingerprint=self.fingerprint, keys=pack_keys(self.keys), marks=marks
        )

    def state_dict(self) -> dict:
        """Return what :class:`SavedTargets` reads; the tensors are the store's own."""
        state = dict(
            self._packed_data,
            version=STORE_VERSION,
            targets=self.targets,
            energies=self.energies,
            counts=pack_counts(self.counts),
            spread=self.spread,
            scatter=self.scatter.sums,
        )
        if self.suspects.any():
            state["suspects"] = self.suspects
        if not torch.equal(self.found, self.targets):
            state["found"] = self.found
        return state

    def load_state_dict(self, state: dict) -> None:
        """Take over the targets of a checkpoint made on the same data.

        Raises:
            ValueError: If the state belongs to other data; the message names
                the first difference.
        """
        saved = SavedTargets.from_state(state)
        if saved.fingerprint != self.fingerprint:
            raise ValueError(
                "the checkpoint's latent targets belong to another data set: "
                f"{saved.difference(self.keys, self.annotations)}. Resume on the data "
                "the checkpoint was trained on, or use load_from without resume, which "
                "starts again from the annotations."
            )
        self._take(saved, torch.arange(len(self)))

    def adopt(self, saved: SavedTargets, source: str) -> None:
        """Take over the targets that another training or a tool has made.

        Samples are found by their keys; there may be more of them.

        Args:
            saved: The targets.
            source: Their file, for the message.

        Raises:
            ValueError: See :meth:`SavedTargets.rows_of`.
        """
        rows = saved.rows_of(self.keys, self.annotations, self.visible, source)
        self._take(saved, rows)
        hidden = ~self.visible
        self.targets[hidden] = self.found[hidden] = self.annotations[hidden]

    def forget(self) -> None:
        """Begin anew: targets at the annotations, and nothing was searched."""
        for part in (self.energies, self.counts, self.spread, self.scatter.sums):
            part.zero_()
        self.targets.copy_(self.annotations)
        self.found.copy_(self.annotations)

    def _take(self, saved: SavedTargets, rows: Tensor) -> None:
        """Take over some rows of what was saved."""
        counts, spread = saved.counts[rows], saved.spread
        if spread is None:  # version 2 counted samples
            counts = counts[:, None] * self.visible
            spread = torch.where(counts > 0, torch.nan, 0)[..., None]
        else:
            spread = spread[rows]
        self.targets.copy_(saved.targets[rows])
        self.found.copy_(saved.found[rows])
        self.energies.copy_(saved.energies[rows].clamp(max=_LARGEST))
        self.counts.copy_(counts)
        self.spread.copy_(spread)
        sums = torch.zeros(()) if saved.scatter is None else saved.scatter
        self.scatter.sums.copy_(sums)
        if saved.suspects is not None:
            self.suspects.copy_(saved.suspects[rows])


def _sequences(
    frames: Sequence[tuple[str, int] | None] | None, samples: int
) -> tuple[Tensor, Tensor]:
    """Return the number of each sample's video, and its own within it."""
    if frames is None:
        return torch.arange(samples), torch.zeros(samples, dtype=torch.int64)
    places = [(i, 0) if f is None else f for i, f in enumerate(frames)]
    numbers = {video: i for i, (video, _) in enumerate(places)}
    sequences = torch.tensor([numbers[video] for video, _ in places])
    return sequences, torch.tensor([number for _, number in places])


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
