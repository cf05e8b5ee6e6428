"""How the processes of a training share a store and what they have found.

The first rank holds the whole store and makes the targets. The first rank of each
machine holds the machine's copy of the targets, which its other ranks and all workers
map into their memory.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
from mmengine.dist import (
    all_gather_object,
    barrier,
    broadcast_object_list,
    get_comm_device,
    get_dist_info,
)
from torch import Tensor

from .search import SearchResult
from .shared import SharedTargets

CHUNK = 4096  # rows at a time


class Ranks:
    """Which process does what.

    Attributes:
        first: Whether this is rank 0, which holds the store.
        leads: Whether this is the first rank of its machine.
    """

    def __init__(self) -> None:
        self.rank, self.world = get_dist_info()
        hosts = all_gather_object(_machine()) if self.world > 1 else [_machine()]
        leaders = sorted({hosts.index(host) for host in hosts})
        self._leader = hosts.index(hosts[self.rank])
        self.first = self.rank == 0
        self.leads = self.rank in leaders
        self._leaders = None
        if len(leaders) > 1:  # every rank has to call it
            self._leaders = dist.new_group(leaders)

    def share(self, targets: SharedTargets | None) -> SharedTargets:
        """Return the machine's targets, on every rank.

        Args:
            targets: Where this rank leads its machine.
        """
        if self.world == 1:
            return targets
        mine = None
        if targets is not None:
            mine = (targets.path, len(targets), targets.num_keypoints)
        place = all_gather_object(mine)[self._leader]
        if targets is None:
            targets = SharedTargets.open(*place)
        barrier()
        targets.unlink()
        return targets

    def gather(self, result: SearchResult | None) -> Iterator[SearchResult]:
        """Yield the results of all ranks on rank 0, in chunks; nothing elsewhere.

        A chunk has each sample once. All samples' first views come first, then their
        second ones; the same view twice comes once. So the order does not depend on
        the number of ranks. What is sent are bytes: float32 positions, float16
        energies and two flags a landmark.

        Args:
            result: This rank's; None if it has none.
        """
        if self.world == 1:
            if result is not None:
                yield from _chunks(result)
            return
        landmarks = 0 if result is None else result.energies.shape[1]
        count = 0 if result is None else len(result.indices)
        sizes = _all_gather(torch.tensor([[count, landmarks]]))
        landmarks = int(sizes[:, 1].max())
        if not landmarks:
            return
        result = _empty(landmarks) if result is None else result
        names = torch.stack((result.indices, result.views), 1)
        names = _all_gather_rows(names, sizes[:, 0].tolist())
        for places in rounds(names[:, 0], names[:, 1]):
            owner = torch.repeat_interleave(torch.arange(self.world), sizes[:, 0])
            before = int(sizes[: self.rank, 0].sum())
            mine = places[owner[places] == self.rank] - before
            numbers = torch.bincount(owner[places], minlength=self.world).tolist()
            yield from self._gather_round(result.take(mine), numbers)

    def _gather_round(
        self, result: SearchResult, numbers: list[int]
    ) -> Iterator[SearchResult]:
        landmarks, device = result.energies.shape[1], get_comm_device()
        rows = pack_rows(result)
        step = max(1, CHUNK // self.world)
        for start in range(0, max(numbers), step):
            part = torch.zeros(step, rows.shape[1], dtype=torch.uint8, device=device)
            piece = rows[start : start + step]
            part[: len(piece)] = piece.to(device)
            everyones = None
            if self.first:
                everyones = [torch.empty_like(part) for _ in numbers]
            dist.gather(part, everyones)
            if everyones is not None:
                lengths = [min(max(n - start, 0), step) for n in numbers]
                pieces = [e[:n].cpu() for e, n in zip(everyones, lengths)]
                yield unpack_rows(torch.cat(pieces), landmarks)

    def spread(self, targets: SharedTargets, rows: Tensor | None) -> None:
        """Bring rank 0's targets of some rows to all machines, and wait for them.

        Args:
            targets: This rank's.
            rows: ``(n,)``; given on rank 0 only.
        """
        if self.world == 1:
            return
        if self._leaders is not None and self.leads:
            self._broadcast(targets.targets, rows)
        barrier()

    def spread_suspects(self, targets: SharedTargets) -> None:
        """Bring rank 0's suspects to all machines, and wait for them."""
        if self.world == 1:
            return
        places = [targets.suspects.nonzero().numpy() if self.first else None]
        broadcast_object_list(places)
        if self.leads:
            targets.suspects.zero_()
            targets.suspects[tuple(torch.from_numpy(places[0]).T)] = True
        barrier()

    def _broadcast(self, positions: Tensor, rows: Tensor | None) -> None:
        device = get_comm_device(self._leaders)
        count = torch.tensor([0 if rows is None else len(rows)], device=device)
        dist.broadcast(count, 0, group=self._leaders)
        for start in range(0, int(count), CHUNK):
            length = min(CHUNK, int(count) - start)
            places = torch.zeros(length, dtype=torch.int64, device=device)
            values = torch.zeros(length, *positions.shape[1:], device=device)
            if rows is not None:
                places.copy_(rows[start : start + length])
                values.copy_(positions[rows[start : start + length]])
            dist.broadcast(places, 0, group=self._leaders)
            dist.broadcast(values, 0, group=self._leaders)
            if rows is None:
                positions[places.cpu()] = values.cpu()


def _machine() -> str:
    boot = Path("/proc/sys/kernel/random/boot_id")
    return f"{socket.gethostname()} {boot.read_text() if boot.is_file() else ''}"


def _chunks(result: SearchResult) -> Iterator[SearchResult]:
    for places in rounds(result.indices, result.views):
        for part in places.split(CHUNK):
            yield result.take(part)


def _empty(landmarks: int) -> SearchResult:
    nothing = torch.zeros(0, dtype=torch.int64)
    none = torch.zeros(0, landmarks)
    return SearchResult(
        nothing, torch.zeros(0, landmarks, 2), none, none > 0, none > 0, nothing
    )


def _all_gather(tensor: Tensor) -> Tensor:
    """Return the ranks' tensors, of equal shape, as one."""
    tensor = tensor.to(get_comm_device())
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor)
    return torch.cat(parts).cpu()


def _all_gather_rows(rows: Tensor, lengths: list[int]) -> Tensor:
    """Return the ranks' rows, of different number, as one."""
    padded = rows.new_zeros(max(lengths), *rows.shape[1:])
    padded[: len(rows)] = rows
    parts = _all_gather(padded).split(max(lengths))
    return torch.cat([part[:n] for part, n in zip(parts, lengths)])


def rounds(indices: Tensor, views: Tensor) -> list[Tensor]:
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
    number = int(nth.max()) + 1 if len(order) else 1
    return [order[nth == n] for n in range(number)]


def pack_rows(result: SearchResult) -> Tensor:
    """Return results as bytes, ``(B, 16 + 11 K)``."""
    flags = result.searched.byte() + 2 * result.at_edge.byte()
    result = result.compact()
    parts = (
        result.indices[:, None],
        result.views[:, None],
        result.found.flatten(1),
        result.energies,
        flags,
    )
    arrays = [p.numpy().copy().view(np.uint8) for p in parts]
    return torch.from_numpy(np.concatenate(arrays, 1))


def unpack_rows(rows: Tensor, landmarks: int) -> SearchResult:
    """Return the results of :func:`pack_rows`."""
    ends = np.cumsum([8, 8, 8 * landmarks, 2 * landmarks])
    pieces = np.split(rows.numpy(), ends, axis=1)
    types = (np.int64, np.int64, np.float32, np.float16, np.uint8)
    indices, views, found, energies, flags = (
        torch.from_numpy(piece.copy().view(dtype))
        for piece, dtype in zip(pieces, types)
    )
    return SearchResult(
        indices=indices[:, 0],
        found=found.view(-1, landmarks, 2),
        energies=energies,
        searched=(flags & 1) > 0,
        at_edge=(flags & 2) > 0,
        views=views[:, 0],
    )
