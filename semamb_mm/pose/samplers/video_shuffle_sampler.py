"""Shuffling frames of videos without going back in a video for each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import chain, islice, repeat

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmpose.registry import DATA_SAMPLERS
from torch.utils.data import Dataset, Sampler


@DATA_SAMPLERS.register_module()
class VideoShuffleSampler(Sampler):
    """Shuffles the stretches between key frames, and mixes several into each batch.

    A frame of a video is reached by decoding from the key frame before it, which may
    be hundreds of frames back. This sampler takes the frames between two key frames
    in order, so that each is decoded once, from several videos in turn; which
    stretches, and which come together, is drawn anew each epoch. All samples are used
    once an epoch, as with mmengine's ``DefaultSampler``, and repeated until all
    processes have equally many.

    With a key frame every few frames this is a plain shuffle, nearly; with few key
    frames a batch holds ``batch_size / streams`` neighbouring frames of a video.

    Args:
        dataset (Dataset): A :class:`~semamb_mm.pose.datasets.Face300VWVideoDataset`
            (given by the runner).
        batch_size (int): The data loader's. A batch goes to one worker: one that
            differs slows reading down, and nothing else.
        num_workers (int): The data loader's, see ``batch_size``.
        streams (int, optional): Videos that a worker reads from in turn. Defaults to
            the data set's ``max_open``, and may not exceed it.
        seed (int, optional): Same in all processes. Defaults to a drawn one.

    Raises:
        TypeError: If the data set does not say where its key frames are.
        ValueError: If an argument is less than 1, or ``streams`` more than the data
            set keeps open.
    """

    # What it repeats is padding, no other view of a sample.
    DRAWS_ONCE = True

    def __init__(
        self,
        dataset: Dataset,
        batch_size: int,
        num_workers: int,
        streams: int | None = None,
        seed: int | None = None,
    ) -> None:
        if not hasattr(dataset, "stretches"):
            raise TypeError(
                f"VideoShuffleSampler: {type(dataset).__name__} has no stretches() "
                "between key frames; expected a Face300VWVideoDataset. Extracted "
                "frames need DefaultSampler only"
            )
        streams = dataset.max_open if streams is None else streams
        if batch_size < 1 or num_workers < 0 or streams < 1:
            raise ValueError(
                f"VideoShuffleSampler: batch_size {batch_size}, num_workers "
                f"{num_workers}, streams {streams}; expected at least 1, 0, 1"
            )
        if streams > dataset.max_open:
            raise ValueError(
                f"VideoShuffleSampler: streams is {streams}, but the data set keeps "
                f"{dataset.max_open} videos open; raise its max_open"
            )
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.batch_size = batch_size
        self.num_workers = max(1, num_workers)
        self.streams = streams
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.num_samples = -(-len(dataset) // self.world_size)

    def __len__(self) -> int:
        """Samples of this process."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Another order for each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        rng = random.Random(f"{self.seed}, {self.epoch}")
        stretches = self.dataset.stretches()
        rng.shuffle(stretches)
        # Each process and, in it, each worker has a part of the shuffled stretches.
        endless = chain.from_iterable(repeat(stretches))
        sizes = [
            min(self.batch_size, self.num_samples - first)
            for first in range(0, self.num_samples, self.batch_size)
        ]
        shares = [sum(sizes[i :: self.num_workers]) for i in range(self.num_workers)]
        for _ in range(self.rank + 1):
            parts = []
            for share in shares:
                part, endless = _take(endless, share)
                parts.append(self._in_turn(part, rng))
        for batch, size in enumerate(sizes):
            yield from islice(parts[batch % self.num_workers], size)

    def _in_turn(
        self, stretches: list[tuple[int, np.ndarray]], rng: random.Random
    ) -> Iterator[int]:
        """A worker's samples: of several videos in turn, each stretch in order."""
        waiting: dict[int, list[list[int]]] = {}
        for video, samples in stretches:
            waiting.setdefault(video, []).append(samples.tolist())
        left = {video: sum(map(len, waiting[video])) for video in waiting}
        slots: list[tuple[int | None, Iterator[int]]]
        slots = [(None, iter(()))] * self.streams
        active = True
        while active:
            active = False
            for place, (video, samples) in enumerate(slots):
                sample = next(samples, None)
                if sample is None:
                    # The decoder that has rested longest is now this place's: it
                    # goes on with a video that no other place reads.
                    slots[place] = (None, samples)
                    free = sorted(waiting.keys() - {video for video, _ in slots})
                    if not free:
                        continue
                    (video,) = rng.choices(free, [left[video] for video in free])
                    samples = waiting[video].pop()
                    left[video] -= len(samples)
                    if not waiting[video]:
                        del waiting[video]
                    samples = iter(samples)
                    slots[place] = (video, samples)
                    sample = next(samples)
                active = True
                yield sample


def _take(
    stretches: Iterator[tuple[int, np.ndarray]], count: int
) -> tuple[list[tuple[int, np.ndarray]], Iterator[tuple[int, np.ndarray]]]:
    """The first stretches with so many samples, the last one cut; and the rest."""
    taken = []
    while count:
        video, samples = next(stretches)
        taken.append((video, samples[:count]))
        if len(samples) > count:
            stretches = chain([(video, samples[count:])], stretches)
        count -= min(count, len(samples))
    return taken, stretches
