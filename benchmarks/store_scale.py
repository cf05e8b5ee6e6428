"""What the store of latent targets costs: time, memory, disk and network.

Prints a table, a column for each size, in one process and one thread. Seconds are of
the CPU, since others may use the machine:

- build: the walk over the data set's infos, and the store;
- record: an epoch's search results go into mean, spread and counts;
- consensus: all targets are made, once an epoch for the whole job;
- save and load: the checkpoint's entry, and its bytes a sample and landmark;
- memory: what rank 0 holds, the machine's copy that all ranks and workers map, and the
  most that consensus takes on top;
- network: what a rank of --world sends in an epoch, and what another machine gets.

With --soak it trains nothing, but reads every sample by persistent workers, records
and makes targets, so many epochs, and prints each process's own memory after each.
"""

import argparse
import ctypes
import gc
import os
import pickle
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from mmengine.dataset import BaseDataset, DefaultSampler
from torch.utils.data import DataLoader

from semamb_mm.pose.latent_targets import (
    LatentTargetStore,
    SearchResult,
    TargetMaker,
    build_store,
)
from semamb_mm.pose.latent_targets.exchange import CHUNK, pack_rows
from semamb_mm.pose.latent_targets.keeper import TargetKeeper
from semamb_mm.pose.latent_targets.samples import mark_rows, set_converters
from semamb_mm.pose.latent_targets.views import number_views
from semamb_mm.pose.transforms import LoadLatentTargets

from .timing import forget_peak, resident

MOMENTUM = 0.1


class ManySamples(BaseDataset):
    """Samples without images, as MMPose's data sets keep theirs: pickled in one array.

    Args:
        samples: How many.
        landmarks: Of each.
        pipeline: As usual.
    """

    def __init__(self, samples: int, landmarks: int, pipeline=()) -> None:
        self._size = samples, landmarks
        super().__init__(
            metainfo=dict(dataset_name="many"), pipeline=list(pipeline), lazy_init=True
        )

    def full_init(self) -> None:
        """Write all infos, without ever holding them as objects."""
        if self._fully_initialized:
            return
        samples, landmarks = self._size
        rng = np.random.default_rng(0)
        face = rng.uniform(20, 100, (landmarks, 2))
        first = pickle.dumps(_info(0, face, rng), protocol=4)
        room = len(first) + 64
        data = np.empty(samples * room, dtype=np.uint8)
        ends, end = np.empty(samples, dtype=np.int64), 0
        for index in range(samples):
            packed = pickle.dumps(_info(index, face, rng), protocol=4)
            data[end : end + len(packed)] = np.frombuffer(packed, dtype=np.uint8)
            end += len(packed)
            ends[index] = end
        self.data_bytes, self.data_address = data[:end], ends
        self._fully_initialized = True


def _info(index: int, face: np.ndarray, rng: np.random.Generator) -> dict:
    points = face * rng.uniform(1, 2) + rng.standard_normal(face.shape)
    return dict(
        img_path=f"data/many/images/{index // 1000:06d}/{index:09d}.jpg",
        id=index,
        bbox=np.array([[0, 0, 200, 200]], dtype=np.float32),
        keypoints=points[None].astype(np.float32),
        keypoints_visible=np.ones((1, len(face)), dtype=np.float32),
    )


def results(store: LatentTargetStore, epoch: int) -> Iterator[SearchResult]:
    """Yield what a search might find in an epoch, in chunks as from other ranks."""
    generator = torch.Generator().manual_seed(epoch)
    landmarks = store.num_keypoints
    for rows in torch.arange(len(store)).split(CHUNK):
        shape = (len(rows), landmarks)
        shared = torch.randn(len(rows), 1, 2, generator=generator)
        own = 0.3 * torch.randn(*shape, 2, generator=generator)
        yield SearchResult(
            indices=rows,
            found=store.annotations[rows] + shared + own,
            energies=torch.ones(shape, dtype=torch.float16),
            searched=torch.ones(shape, dtype=torch.bool),
            at_edge=torch.zeros(shape, dtype=torch.bool),
            views=torch.zeros_like(rows),
        )


class Watch:
    """Measures seconds and memory of what stands in its ``with``."""

    def __enter__(self):
        forget_peak()
        self.before, self.began = _megabytes("VmRSS"), time.process_time()
        return self

    def __exit__(self, *error) -> None:
        self.seconds = time.process_time() - self.began
        self.peak = _megabytes("VmHWM") - self.before
        self.kept = _megabytes("VmRSS") - self.before


def _megabytes(name: str) -> float:
    """Return a memory figure of this process, see :func:`resident`, in MB."""
    return resident(name) * 2**20 / 1e6


def measure(samples: int, landmarks: int, world: int, folder: str) -> dict[str, str]:
    """Return figure to value for one size."""
    dataset = ManySamples(samples, landmarks)
    dataset.full_init()
    with Watch() as build:
        store = build_store(dataset)
    maker = TargetMaker(consensus=dict())
    with Watch() as record:
        for part in results(store, 0):
            store.record(part, MOMENTUM, move=False)
    for part in results(store, 1):
        store.record(part, MOMENTUM, move=False)
    with Watch() as consensus:
        maker.apply(store, MOMENTUM)
    path = Path(folder) / "store.pth"
    with Watch() as save:
        torch.save(store.state_dict(), path)
    with Watch() as load:
        store.load_state_dict(torch.load(path, weights_only=True))
    sent = pack_rows(next(results(store, 0)).take(torch.arange(1))).numel()
    sent = (sent + 16) * samples / world
    size = path.stat().st_size
    shared = store.shared.size_of(samples, landmarks)
    return {
        "build, s": f"{build.seconds:.1f}",
        "record, s": f"{record.seconds:.1f}",
        "consensus, s": f"{consensus.seconds:.1f}",
        "save, s": f"{save.seconds:.1f}",
        "load, s": f"{load.seconds:.1f}",
        "store and copy, MB": f"{build.kept + record.kept:.0f}",
        "of it the machine's copy, MB": f"{shared / 1e6:.0f}",
        "build, MB on top at most": f"{build.peak - build.kept:.0f}",
        "consensus, MB on top at most": f"{consensus.peak:.0f}",
        "checkpoint, MB": f"{size / 1e6:.0f}",
        "checkpoint, bytes a landmark": f"{size / samples / landmarks:.1f}",
        f"sent by each of {world} ranks, MB": f"{sent / 1e6:.0f}",
        "to each other machine, MB": f"{samples * (8 * landmarks + 8) / 1e6:.0f}",
    }


def in_child(function, *arguments):
    """Return what a function returns in a fork of its own, whose memory is fresh."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with os.fdopen(writer, "wb") as file:
            pickle.dump(function(*arguments), file)
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as file:
        answer = pickle.load(file)
    os.waitpid(child, 0)
    return answer


def own_memory(process: int | str) -> float:
    """Return what a process shares with nobody, in MB."""
    text = Path(f"/proc/{process}/smaps_rollup").read_text()
    lines = [line.split() for line in text.splitlines()]
    return sum(int(x[1]) for x in lines if x[0][:8] == "Private_") * 1024 / 1e6


def found_of(samples: list[dict]) -> SearchResult:
    """Return results of a batch, as if the search had found something near."""
    rows = torch.tensor([int(s["latent_index"][0]) for s in samples])
    places = np.stack([s["annotated_keypoints"][0] for s in samples])
    noise = np.random.default_rng(int(rows[0])).standard_normal(places.shape)
    shape = places.shape[:2]
    return SearchResult(
        indices=rows,
        found=torch.from_numpy(places + noise),
        energies=torch.ones(shape),
        searched=torch.ones(shape, dtype=torch.bool),
        at_edge=torch.zeros(shape, dtype=torch.bool),
        views=torch.tensor([int(s["latent_view"][0]) for s in samples]),
    )


def soak(
    samples: int, landmarks: int, epochs: int, workers: int, maker: TargetMaker
) -> list[list[float]]:
    """Return own memory in MB after each epoch: the main process's, each worker's."""
    load = LoadLatentTargets()
    dataset = ManySamples(samples, landmarks, [load])
    dataset.full_init()
    set_converters(dataset)
    mark_rows(dataset)
    keeper = TargetKeeper(dataset, maker, MOMENTUM)
    load.connect(keeper.shared)
    loader = DataLoader(
        dataset,
        batch_size=256,
        sampler=DefaultSampler(dataset, seed=0),
        num_workers=workers,
        persistent_workers=True,
        collate_fn=list,
    )
    number_views(loader, keeper.shared, by_epoch=True)
    memory = []
    for epoch in range(epochs):
        keeper.shared.clock = (0, epoch)
        loader.sampler.set_epoch(epoch)
        keeper.commit([found_of(batch).compact() for batch in loader])
        pids = [w.pid for w in loader._iterator._workers]
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        memory.append([own_memory(p) for p in ("self", *pids)])
    return memory


def parse_args(argv=None):
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=["30000x68", "300000x68", "100000x133"],
        help="samples x landmarks (%(default)s)",
    )
    parser.add_argument("--world", type=int, default=8, help="ranks (%(default)s)")
    parser.add_argument("--soak", type=int, default=0, help="epochs; of the first size")
    parser.add_argument("--workers", type=int, default=2, help="of the soak")
    return parser.parse_args(argv)


def main(argv=None):
    """Print the table."""
    args = parse_args(argv)
    torch.set_num_threads(1)
    sizes = [tuple(int(n) for n in size.split("x")) for size in args.sizes]
    if args.soak:
        maker = TargetMaker(consensus=dict())
        memory = soak(*sizes[0], args.soak, args.workers, maker)
        print(f"{'epoch':>5} {'main, MB':>9}  workers, MB")
        for epoch, own in enumerate(memory, 1):
            shown = " ".join(f"{mb:8.1f}" for mb in own[1:])
            print(f"{epoch:>5} {own[0]:>9.1f}  {shown}")
        return
    with tempfile.TemporaryDirectory() as folder:
        columns = [in_child(measure, *size, args.world, folder) for size in sizes]
    print(" " * 32 + "".join(f"{size:>14}" for size in args.sizes))
    for name in columns[0]:
        print(f"{name:<32}" + "".join(f"{column[name]:>14}" for column in columns))


if __name__ == "__main__":
    main()
