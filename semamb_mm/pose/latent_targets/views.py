"""Which view of a sample each draw of an epoch is.

A repeated sample is augmented anew each time, and every distinct view counts. Its
number is 0 for the first, so that a data set without repeats is augmented as if there
were no numbers. It depends on the data set and on the order of the sampler over all
ranks, never on workers: the main process numbers what the sampler draws, and the
numbers travel with the indices.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
import torch
from mmengine.dataset import DefaultSampler, InfiniteSampler
from mmengine.dist import all_gather, get_dist_info
from torch.utils.data import (
    DataLoader,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
)

from .shared import SharedTargets


class View(int):
    """An index of a data set, with what tells this draw from others of the index.

    Attributes:
        draw: How often the index was drawn before, in this epoch (or iteration).
        iteration: The iteration that it is drawn for; None in epoch-based loops.
    """

    draw: int
    iteration: int | None

    def __new__(cls, index: int, draw: int = 0, iteration: int | None = None):
        """Return the index, with its view."""
        self = super().__new__(cls, index)
        self.draw, self.iteration = int(draw), iteration
        return self

    def __reduce__(self):
        """Pickle: the index goes to a worker."""
        return View, (int(self), self.draw, self.iteration)


class ViewSampler:
    """A sampler whose indices say which draw they are; otherwise the sampler itself.

    What a distributed sampler repeats so that all ranks have equally many is no new
    draw. Samplers that draw each sample once an epoch are known by their type:
    MMEngine's and PyTorch's, and those with a true ``DRAWS_ONCE``. What any other
    draws again is a new view.

    Args:
        sampler: The data loader's.
        batch_size: In iteration-based loops the number of indices an iteration takes,
            on each rank; None in epoch-based ones.
    """

    def __init__(self, sampler: Sampler, batch_size: int | None = None) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self._iteration = 0

    def __getattr__(self, name: str):
        """What else the sampler can do."""
        if name == "sampler":  # while being unpickled
            raise AttributeError(name)
        return getattr(self.sampler, name)

    def __len__(self) -> int:
        """The sampler's own."""
        return len(self.sampler)

    def __iter__(self) -> Iterator[int]:
        """Number the sampler's draws."""
        if self.batch_size is not None:
            return self._iterations(self.batch_size)
        if _draws_once(self.sampler):
            return iter(self.sampler)
        indices = np.fromiter(self.sampler, dtype=np.int64)
        return map(View, indices.tolist(), _draws_of_rank(indices).tolist())

    def _iterations(self, batch_size: int) -> Iterator[int]:
        """Number the draws of each iteration, of all ranks where they are known."""
        rank, world = 0, 1
        if isinstance(self.sampler, InfiniteSampler):
            rank, world = get_dist_info()
            indices = self.sampler._infinite_indices()
        else:
            indices = iter(self.sampler)
        while block := list(islice(indices, batch_size * world)):
            draws = occurrence_numbers(block)
            for index, draw in zip(block[rank::world], draws[rank::world]):
                yield View(index, draw, self._iteration)
            self._iteration += 1


class ViewFetcher:
    """Fetches the samples of a batch, and tells the store which view each of them is.

    PyTorch calls it in the workers, as the data set's ``__getitems__``.

    Args:
        dataset: The data loader's.
        store: That ``LoadLatentTargets`` reads.
    """

    def __init__(self, dataset, store: SharedTargets) -> None:
        self.dataset = dataset
        self.store = store
        self.copies = Copies(dataset)

    def __call__(self, indices: Sequence[int]) -> list:
        """Return the samples."""
        return [self._fetch(index) for index in indices]

    def _fetch(self, index: int):
        draw, iteration = getattr(index, "draw", 0), getattr(index, "iteration", None)
        index = int(index)
        number = self.copies.number(index) + self.copies.most * draw
        self.store.view = (number, iteration)
        if self.copies.drawn:  # by the data set, before LoadLatentTargets seeds anew
            seed, epoch = self.store.clock
            moment = epoch if iteration is None else iteration
            mixed = np.random.SeedSequence((seed, moment, index, draw))
            np.random.seed(int(mixed.generate_state(1)[0]))
        return self.dataset[index]


def number_views(loader: DataLoader, store: SharedTargets, by_epoch: bool) -> None:
    """Have a data loader number its views, before it starts its workers.

    Args:
        loader: Of map-style data, with batches.
        store: That ``LoadLatentTargets`` reads.
        by_epoch: Whether the train loop is; otherwise the clock is the iteration.
    """
    loader.dataset.__getitems__ = ViewFetcher(loader.dataset, store)
    batches = loader.batch_sampler
    sampler = getattr(batches, "sampler", None)
    if sampler is None:  # makes batches of its own: what it draws twice is one view
        return
    if isinstance(sampler, ViewSampler):
        sampler = sampler.sampler
    batches.sampler = ViewSampler(sampler, None if by_epoch else batch_size_of(loader))


def batch_size_of(loader: DataLoader) -> int:
    """Return how many samples a batch has on this rank."""
    size = loader.batch_size  # None where the loader has a batch sampler of its own
    return size or getattr(loader.batch_sampler, "batch_size", 1)


def first_copies(dataset, samples: int) -> list[int]:
    """Return indices of a data set that give each sample once, in the store's order.

    All indices, where a wrapper does not tell which samples it gives.

    Args:
        dataset: A data set, or any nesting of wrappers.
        samples: How many there are without the wrappers.
    """
    copies = Copies(dataset)
    first = [i for i in range(len(dataset)) if copies.number(i) == 0]
    return first if len(first) == samples else list(range(len(dataset)))


def _draws_once(sampler: Sampler) -> bool:
    if isinstance(sampler, RandomSampler):
        return not sampler.replacement and sampler.num_samples <= len(
            sampler.data_source
        )
    once = (DefaultSampler, DistributedSampler, SequentialSampler)
    return isinstance(sampler, once) or getattr(sampler, "DRAWS_ONCE", False)


def _draws_of_rank(indices: np.ndarray) -> np.ndarray:
    """Return how often each of this rank's indices was drawn before, on any rank."""
    rank, world = get_dist_info()
    if world == 1:
        return occurrence_numbers(indices)
    lengths = torch.stack(all_gather(torch.tensor(len(indices))))
    padded = torch.full((int(lengths.max()),), -1)
    padded[: len(indices)] = torch.from_numpy(indices)
    # Position by position over the ranks, the order of every OpenMMLab sampler.
    everyones = torch.stack(all_gather(padded), 1).numpy()
    draws = occurrence_numbers(everyones.ravel()).reshape(everyones.shape)
    return draws[: len(indices), rank]


def occurrence_numbers(values: Sequence[int] | np.ndarray) -> np.ndarray:
    """Return how often each value stands before its place, ``(N,)``."""
    values = np.asarray(values)
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    places = np.arange(len(values))
    new = np.ones(len(values), dtype=bool)
    new[1:] = ranked[1:] != ranked[:-1]
    numbers = np.empty(len(values), dtype=np.int64)
    numbers[order] = places - np.maximum.accumulate(np.where(new, places, 0))
    return numbers


class Copies:
    """How often a data set's wrappers repeat a sample, and which copy an index is.

    Knows MMEngine's and MMPose's wrappers. In one that it does not know, or that draws
    its samples at random (``CombinedDataset(sample_ratio_factor=...)``), every index is
    a copy of its own.

    Args:
        dataset: A data set, or any nesting of wrappers.

    Attributes:
        most: More than any copy's number.
        drawn: Whether a wrapper draws its samples with ``numpy.random``.
    """

    def __init__(self, dataset) -> None:
        self._parts: list[Copies] = []
        self._ends: list[int] = []
        self._first: list[int] = []
        self._inner: np.ndarray | None = None
        self._copies: np.ndarray | None = None
        self._length = 0
        self.most = 1
        self.drawn = bool(getattr(dataset, "resample", False))
        if getattr(dataset, "datasets", None) is not None:
            self._join(dataset)
        elif getattr(dataset, "dataset", None) is not None:
            self._repeat(dataset)

    def number(self, index: int) -> int:
        """Return which copy of its sample an index is, from 0; distinct for each."""
        if not self._parts:
            return index if self._length else 0
        if self._ends:
            part = bisect_right(self._ends, index)
            start = self._ends[part - 1] if part else 0
            return self._first[part] + self._parts[part].number(index - start)
        (inner,) = self._parts
        if self._inner is None:
            copy, index = divmod(index, self._length)
        else:
            copy, index = int(self._copies[index]), int(self._inner[index])
        return inner.number(index) + copy * inner.most

    def _join(self, dataset) -> None:
        parts = dataset.datasets
        sizes = getattr(dataset, "_lens", None) or [len(part) for part in parts]
        if getattr(dataset, "resample", False) or sum(sizes) != len(dataset):
            self._each_for_itself(dataset)
            return
        self._ends = np.cumsum(sizes).tolist()
        for place, part in enumerate(parts):
            copies = Copies(part)
            same = [p for p in range(place) if parts[p] is part]
            self._first.append(copies.most * len(same))
            self._parts.append(copies)
            self.drawn |= copies.drawn
            self.most = max(self.most, self._first[-1] + copies.most)

    def _repeat(self, dataset) -> None:
        inner = Copies(dataset.dataset)
        length = len(dataset.dataset)
        indices = getattr(dataset, "repeat_indices", getattr(dataset, "indices", None))
        if indices is not None and len(indices) == len(dataset):
            self._inner = np.asarray(indices)
            self._copies = occurrence_numbers(self._inner)
            times = int(self._copies.max(initial=0)) + 1
        elif length and len(dataset) % length == 0:
            self._length, times = length, len(dataset) // length
        else:
            self._each_for_itself(dataset)
            return
        self._parts = [inner]
        self.drawn = inner.drawn
        self.most = inner.most * times

    def _each_for_itself(self, dataset) -> None:
        self._length = self.most = max(1, len(dataset))
