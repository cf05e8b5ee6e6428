"""How alike the frames are that are read together, by the order of reading.

Decodes nothing: 50 videos of 1,900 frames each, as many as 300-VW trains on, are stood
in for by where their key frames are. Prints, for several orders of an epoch of about a
sixth of the frames in batches of 16, read by two workers:

- how many videos a batch has;
- the share of samples for which a near frame, at most 12 frames away, is in the same
  batch;
- the same of the ten batches before;

each for the whole epoch and for its last tenth.
"""

from itertools import islice

import numpy as np
from mmengine.dataset import DefaultSampler

from semamb_mm.pose.samplers import VideoShuffleSampler

from .timing import benchmark_parser

BATCH, WORKERS, SHARE = 16, 2, 6
NEAR_FRAMES, NEAR_BATCHES = 12, 10


class Videos:
    """Stands in for a Face300VWVideoDataset: nothing but where its samples lie.

    Args:
        videos: How many.
        frames: Of each.
        key_frames: From one key frame to the next.
        stride: As the data set's.
        max_open: As the data set's.
    """

    def __init__(self, videos, frames, key_frames, stride, max_open):
        self.max_open = max_open
        numbers = np.arange(0, frames, stride)
        grid = np.meshgrid(np.arange(videos), numbers, indexing="ij")
        self.places = np.stack(grid, -1).reshape(-1, 2)
        self.key_frames = key_frames

    def __len__(self):
        return len(self.places)

    def stretches(self):
        """Return the samples between one key frame and the next."""
        part = self.places // (1, self.key_frames)
        cuts = np.flatnonzero(np.diff(part, axis=0).any(1)) + 1
        runs = np.split(np.arange(len(self)), cuts)
        return [(int(self.places[run[0], 0]), run) for run in runs]


def batches(dataset, sampler):
    """Return videos and frames ``(B, 2)`` of an epoch's batches, without the last."""
    order = dataset.places[list(islice(sampler, len(sampler) // BATCH * BATCH))]
    return order.reshape(-1, BATCH, 2)


def near(mine, others):
    """Return which pairs are near frames of one video, ``(len(mine), len(others))``."""
    gap = np.abs(mine[:, None, 1] - others[None, :, 1])
    return (mine[:, None, 0] == others[:, 0]) & (gap <= NEAR_FRAMES)


def likeness(read):
    """Return how alike the samples of batches ``(N, B, 2)`` are, ``(N - 10, 3)``.

    The number of videos; the share of samples with a near frame in the same batch; and
    in the ten before.
    """
    found = []
    for number in range(NEAR_BATCHES, len(read)):
        batch = read[number]
        before = read[number - NEAR_BATCHES : number].reshape(-1, 2)
        same = near(batch, batch).sum(1) > 1
        alike = near(batch, before).any(1)
        found.append((len(np.unique(batch[:, 0])), same.mean(), alike.mean()))
    return np.array(found)


def orders(args, key_frames):
    """Yield a name, a data set and a sampler of each order."""

    def videos(stride, max_open):
        return Videos(args.videos, args.frames, key_frames, stride, max_open)

    strided = videos(SHARE, BATCH)
    yield f"stride={SHARE}, DefaultSampler", strided, DefaultSampler(strided, seed=0)
    mixed = VideoShuffleSampler(strided, BATCH, WORKERS, seed=0)
    yield f"stride={SHARE}, VideoShuffleSampler", strided, mixed
    for max_open in (16, 32):
        dataset = videos(1, max_open)
        sampler = VideoShuffleSampler(dataset, BATCH, WORKERS, parts=SHARE, seed=0)
        yield f"parts={SHARE}, max_open={max_open}", dataset, sampler


def main():
    """Print the table."""
    parser = benchmark_parser(__doc__, repeats=1)
    parser.add_argument("--videos", type=int, default=50)
    parser.add_argument("--frames", type=int, default=1900)
    parser.add_argument("--key-frames", type=int, nargs="+", default=[12, 250])
    args = parser.parse_args()
    print(
        f"{'key frames every, order':<40}{'videos':>16}{'in the batch':>16}"
        f"{'in 10 before':>16}   (whole epoch, last tenth)"
    )
    for key_frames in args.key_frames:
        for name, dataset, sampler in orders(args, key_frames):
            found = likeness(batches(dataset, sampler))
            tail = found[-max(1, len(found) // 10) :]
            cells = (f"{a:.2f}, {b:.2f}" for a, b in zip(found.mean(0), tail.mean(0)))
            row = "".join(f"{cell:>16}" for cell in cells)
            print(f"{f'{key_frames}: {name}':<40}{row}")


if __name__ == "__main__":
    main()
