from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmpretrain.registry import DATA_SAMPLERS
from torch.utils.data import Sampler


@DATA_SAMPLERS.register_module()
class IdentityBalancedSampler(Sampler):
    """Batches of P classes with K samples each ("PK sampling").

    Give the dataloader ``batch_size = P * K``: consecutive runs of that many
    indices are the batches. Classes take turns in a random order, and so do
    the samples of a class, so that none is passed over; a class with fewer
    than K samples repeats them. An epoch is as many batches as hold the data
    set once. Deterministic in ``(seed, epoch)``; every rank gets batches of
    its own and as many of them as any other.

    Args:
        dataset: With ``get_gt_labels()`` (MMPretrain's data sets), or with
            ``gt_label`` in ``get_data_info``.
        num_classes_per_batch (int): P.
        num_samples_per_class (int): K. Defaults to 4.
        seed (int, optional): The same on all ranks; drawn if left out.

    Raises:
        ValueError: If P or K is not positive, or the data set has fewer than
            P classes.
    """

    def __init__(
        self,
        dataset,
        num_classes_per_batch: int,
        num_samples_per_class: int = 4,
        seed: int | None = None,
    ) -> None:
        if num_classes_per_batch < 1 or num_samples_per_class < 1:
            raise ValueError(
                "num_classes_per_batch and num_samples_per_class must be positive, "
                f"got {num_classes_per_batch} and {num_samples_per_class}"
            )
        labels = _labels(dataset)
        self.members = [np.flatnonzero(labels == label) for label in np.unique(labels)]
        if len(self.members) < num_classes_per_batch:
            raise ValueError(
                f"a batch of {num_classes_per_batch} classes needs as many in the data "
                f"set, which has {len(self.members)}"
            )
        self.num_classes_per_batch = num_classes_per_batch
        self.num_samples_per_class = num_samples_per_class
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.rank, self.world_size = get_dist_info()
        self.batch_size = num_classes_per_batch * num_samples_per_class
        share = self.batch_size * self.world_size
        self.num_batches = -(-len(labels) // share)

    def __iter__(self) -> Iterator[int]:
        """This rank's indices, batch after batch."""
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
        return self.num_batches * self.batch_size

    def set_epoch(self, epoch: int) -> None:
        """MMEngine calls this before every epoch."""
        self.epoch = epoch


class _Turns:
    """Items in random order, round after round; a draw repeats none it can avoid."""

    def __init__(self, items: np.ndarray, rng: np.random.Generator) -> None:
        self.items = items
        self.rng = rng
        self.queue: list[int] = []

    def draw(self, count: int) -> list[int]:
        drawn: list[int] = []
        while len(drawn) < count:
            if not self.queue:
                self.queue = self.rng.permutation(self.items).tolist()
                # Those of this draw wait until the end of the new round.
                waiting = set(drawn)
                self.queue.sort(key=waiting.__contains__)
            drawn.append(self.queue.pop(0))
        return drawn


def _labels(dataset) -> np.ndarray:
    if hasattr(dataset, "get_gt_labels"):
        return np.asarray(dataset.get_gt_labels())
    return np.array([dataset.get_data_info(i)["gt_label"] for i in range(len(dataset))])
