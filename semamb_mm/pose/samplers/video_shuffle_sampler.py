"""Shuffling frames of videos without going back in a video for each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from heapq import merge
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
    stretches, and which come together, is drawn anew each epoch. Videos are in a batch
    in the shares that they have in the worker's part of the epoch, from its first batch
    to its last. All samples are used once an epoch, as with mmengine's
    ``DefaultSampler``, and repeated until all processes have equally many.

    With a key frame every few frames this is a plain shuffle, nearly; with few key
    frames a batch holds ``batch_size / streams`` neighbouring frames of a video.

    ``parts`` is for codecs that are slow to decode, such as H.264. A data set's stride
    leaves out frames that must be decoded all the same. With ``parts=6`` instead of
    ``stride=6`` an epoch is as short, but takes all frames of a sixth of the
    stretches; the next takes another sixth. In exchange, batches that follow each other
    hold neighbouring frames: the more so, the fewer ``streams`` and workers there are.

    The order depends on the seed, the epoch, and the numbers of processes and workers
    alone, so that a resumed training goes on as it would have.

    Example:
        ```python
        train_dataloader = dict(
            batch_size=16, num_workers=2,
            sampler=dict(
                _delete_=True, type='VideoShuffleSampler', batch_size=16, num_workers=2,
                parts=6),
            dataset=dict(
                _delete_=True, type='Face300VWVideoDataset', data_root='data/300vw',
                max_open=16, pipeline=_base_.train_pipeline))
        ```

    Args:
        dataset (Dataset): A :class:`~semamb_mm.pose.datasets.Face300VWVideoDataset`
            (given by the runner).
        batch_size (int): The data loader's. A batch goes to one worker: one that
            differs slows reading down, and nothing else.
        num_workers (int): The data loader's, see ``batch_size``.
        streams (int, optional): Videos that a worker reads from in turn. Defaults to
            the data set's ``max_open``, and may not exceed it.
        parts (int): Epochs in which all samples are used once. Defaults to 1.
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
        parts: int = 1,
        seed: int | None = None,
    ) -> None:
        if not hasattr(dataset, "stretches"):
            raise TypeError(
                f"VideoShuffleSampler: {type(dataset).__name__} has no stretches() "
                "between key frames; expected a Face300VWVideoDataset. Extracted "
                "frames need DefaultSampler only"
            )
        streams = dataset.max_open if streams is None else streams
        if batch_size < 1 or num_workers < 0 or streams < 1 or parts < 1:
            raise ValueError(
                f"VideoShuffleSampler: batch_size {batch_size}, num_workers "
                f"{num_workers}, streams {streams}, parts {parts}; expected at least "
                "1, 0, 1, 1"
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
        self.parts = parts
        self.seed = sync_random_seed() if seed is None else seed
        self.epoch = 0
        self.num_samples = -(-len(dataset) // (self.parts * self.world_size))

    def __len__(self) -> int:
        """Samples of this process in an epoch."""
        return self.num_samples

    def set_epoch(self, epoch: int) -> None:
        """Another order for each epoch."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        turn, part = divmod(self.epoch, self.parts)
        stretches = self.dataset.stretches()
        random.Random(f"{self.seed}, {turn}").shuffle(stretches)
        # Each epoch of a turn has a part of the shuffled stretches, of it each process,
        # and of that each worker.
        endless = chain.from_iterable(repeat(stretches))
        before = (part * self.world_size + self.rank) * self.num_samples
        _, endless = _take(endless, before)
        sizes = [
            min(self.batch_size, self.num_samples - first)
            for first in range(0, self.num_samples, self.batch_size)
        ]
        orders = []
        for worker in range(self.num_workers):
            share, endless = _take(endless, sum(sizes[worker :: self.num_workers]))
            rng = random.Random(f"{self.seed}, {self.epoch}, {self.rank}, {worker}")
            orders.append(self._mixed(share, rng))
        for batch, size in enumerate(sizes):
            yield from islice(orders[batch % self.num_workers], size)

    def _mixed(
        self, stretches: list[tuple[int, np.ndarray]], rng: random.Random
    ) -> Iterator[int]:
        """Yield a worker's samples: of several streams in turn, each stretch in order.

        A video is in one stream alone, as it has one decoder. Streams are about
        equally long, and are read at speeds at which they end together.
        """
        videos: dict[int, list[list[int]]] = {}
        for video, samples in stretches:
            videos.setdefault(video, []).append(samples.tolist())
        streams: list[list[list[int]]] = [[] for _ in range(self.streams)]
        lengths = [0] * self.streams
        for parts in sorted(videos.values(), key=lambda parts: -sum(map(len, parts))):
            shortest = lengths.index(min(lengths))
            streams[shortest] += parts
            lengths[shortest] += sum(map(len, parts))
        rng.shuffle(streams)
        timed = []
        for place, parts in enumerate(streams):
            rng.shuffle(parts)
            samples = list(chain.from_iterable(parts))
            start = place / len(streams)
            timed.append(
                [((i + start) / len(samples), one) for i, one in enumerate(samples)]
            )
        return (sample for _, sample in merge(*timed))


def _take(
    stretches: Iterator[tuple[int, np.ndarray]], count: int
) -> tuple[list[tuple[int, np.ndarray]], Iterator[tuple[int, np.ndarray]]]:
    """Return the first stretches with so many samples, the last cut; and the rest."""
    taken = []
    while count:
        video, samples = next(stretches)
        taken.append((video, samples[:count]))
        if len(samples) > count:
            stretches = chain([(video, samples[count:])], stretches)
        count -= min(count, len(samples))
    return taken, stretches
