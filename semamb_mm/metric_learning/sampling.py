"""Identity-balanced sampling: every batch has P classes with K samples each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch.utils.data import Sampler


class PKSampler(Sampler[int]):
    """Batches of P classes with K samples each ("PK sampling").

    Give the dataloader ``batch_size = P * K``: consecutive runs of that many
    indices are the batches. Classes take turns in a random order, and so do
    the samples of a class, so that none is passed over; a class with fewer
    than K samples repeats them. An epoch is as many batches as hold the data
    set once. All classes are drawn alike, so that where their sizes differ an
    epoch repeats samples of the small ones and leaves out some of the large
    ones: see :attr:`coverage`. Deterministic in ``(seed, epoch)``; every rank
    gets batches of its own and as many of them as any other.

    Args:
        labels: ``(n,)``, the class of each sample.
        num_classes_per_batch: P.
        num_samples_per_class: K.
        seed: The same on all ranks.
        rank: Of this process.
        world_size: Number of processes.

    Raises:
        ValueError: If P or K is not positive, or there are fewer than P
            classes.

    Example:
        >>> sampler = PKSampler([5, 5, 5, 8, 8, 9], num_classes_per_batch=2,
        ...                     num_samples_per_class=2)
        >>> len(sampler), sampler.batch_size
        (8, 4)
    """

    def __init__(
        self,
        labels: np.ndarray | Sequence[int],
        num_classes_per_batch: int,
        num_samples_per_class: int = 4,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
    ) -> None:
        if num_classes_per_batch < 1 or num_samples_per_class < 1:
            raise ValueError(
                "num_classes_per_batch and num_samples_per_class must be positive, "
                f"got {num_classes_per_batch} and {num_samples_per_class}"
            )
        classes = np.asarray(labels)
        self.members = [
            np.flatnonzero(classes == label) for label in np.unique(classes)
        ]
        if len(self.members) < num_classes_per_batch:
            raise ValueError(
                f"a batch of {num_classes_per_batch} classes needs as many in the data "
                f"set, which has {len(self.members)}"
            )
        self.num_classes_per_batch = num_classes_per_batch
        self.num_samples_per_class = num_samples_per_class
        self.seed = seed
        self.epoch = 0
        self.rank, self.world_size = rank, world_size
        self.batch_size = num_classes_per_batch * num_samples_per_class
        share = self.batch_size * self.world_size
        self.num_batches = -(-len(labels) // share)

    def __iter__(self) -> Iterator[int]:
        """Yield this rank's indices, batch after batch."""
        rng = np.random.default_rng((self.seed, self.epoch))
        classes = _Turns(np.arange(len(self.members)), rng)
        samples = [_Turns(members, rng) for members in self.members]
        for number in range(self.num_batches * self.world_size):
            batch = [
                index
                for c in classes.draw(self.num_classes_per_batch)
                for index in samples[c].draw(self.num_samples_per_class)
            ]
            if number % self.world_size == self.rank:
                yield from batch

    def __len__(self) -> int:
        """Return the number of indices that this rank gets in an epoch."""
        return self.num_batches * self.batch_size

    @property
    def coverage(self) -> float:
        """Share of the samples that an epoch shows, about: all ranks together.

        Of every class as many are drawn, the mean size of a class: 1 where all are
        equally large.

        Example:
            >>> labels = np.repeat(np.arange(59), np.arange(2, 61))  # 2 to 60 samples
            >>> round(PKSampler(labels, num_classes_per_batch=16).coverage, 2)
            0.77
        """
        drawn = len(self) * self.world_size / len(self.members)
        sizes = np.array([len(members) for members in self.members])
        return float(np.minimum(sizes, drawn).sum() / sizes.sum())

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose draws come next; call it before every epoch."""
        self.epoch = epoch


class _Turns:
    """Items in random order, round after round; a draw repeats none it can avoid."""

    def __init__(self, items: np.ndarray, rng: np.random.Generator) -> None:
        self.items = items
        self.rng = rng
        self.queue: list[int] = []

    def draw(self, count: int) -> list[int]:
        """Return the next ``count`` items."""
        drawn: list[int] = []
        while len(drawn) < count:
            if not self.queue:
                self.queue = self.rng.permutation(self.items).tolist()
                # Those of this draw wait until the end of the new round.
                waiting = set(drawn)
                self.queue.sort(key=waiting.__contains__)
            drawn.append(self.queue.pop(0))
        return drawn
