"""What data loader workers read of a store: one copy on each machine."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import mmap
import os
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from multiprocessing import reduction

import numpy as np
import torch
from torch import Tensor

# Elsewhere an open file keeps its name, and goes when the process ends.
NAMELESS = os.name == "posix"


class SharedBytes:
    """Bytes that processes share, on disk as far as memory is short.

    A file in the folder for temporary files, mapped into memory. It has no name, or
    loses it once all who need it have opened it (:meth:`unlink`), so that nothing is
    left of a training that was killed. Workers inherit it or, if they are spawned, get
    its descriptor.

    Args:
        descriptor: Of the open file.
        size: Bytes.
        path: Where others find it, while it has a name.
    """

    def __init__(self, descriptor: int, size: int, path: str | None = None) -> None:
        self.descriptor, self.size, self.path = descriptor, size, path
        self._map = mmap.mmap(descriptor, size)

    def __del__(self) -> None:
        os.close(self.descriptor)

    @classmethod
    def create(cls, size: int, named: bool = False) -> SharedBytes:
        """Return new bytes, all 0.

        Raises:
            OSError: If there is no room for them.
        """
        descriptor, path = tempfile.mkstemp(prefix="latent-targets-")
        try:
            _reserve(descriptor, size)
        except OSError as error:
            os.unlink(path)
            raise OSError(
                f"no room for {size / 2**20:.0f} MiB of latent targets in "
                f"{tempfile.gettempdir()}: point TMPDIR to a folder with more"
            ) from error
        content = cls(descriptor, size, path)
        if not named:
            content.unlink()
        return content

    @classmethod
    def open(cls, path: str) -> SharedBytes:
        """Return the bytes that another process has created."""
        descriptor = os.open(path, os.O_RDWR)
        return cls(descriptor, os.fstat(descriptor).st_size)

    def unlink(self) -> None:
        """Take the name away; the bytes live as long as somebody has them open."""
        if self.path is None:
            return
        if NAMELESS:
            os.unlink(self.path)
            self.path = None
        else:
            atexit.register(_remove, self.path)

    def tensor(self, shape: Sequence[int], dtype: torch.dtype, offset: int) -> Tensor:
        """Return a part of the bytes as a tensor."""
        count = int(np.prod(shape))
        part = torch.frombuffer(self._map, dtype=dtype, count=count, offset=offset)
        return part.view(*shape)

    def __reduce__(self):
        """For a spawned process."""
        if not NAMELESS:
            return SharedBytes.open, (self.path,)
        return _inherited, (reduction.DupFd(self.descriptor), self.size)


def _reserve(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):  # others may have it open
        os.unlink(path)


def _inherited(descriptor, size: int) -> SharedBytes:
    return SharedBytes(descriptor.detach(), size)


class SharedTargets:
    """The latent targets, and what else ``LoadLatentTargets`` needs to know.

    Args:
        content: Of :meth:`size_of` bytes.
        samples: ``N``.
        landmarks: ``K``.

    Attributes:
        targets (Tensor): ``(N, K, 2)`` float32, image pixels.
        key_ids (Tensor): ``(N,)`` int64, by which a sample's row is found.
        key_hashes (Tensor): ``(N,)`` int64, of which its augmentation is seeded.
        visible (Tensor): ``(N, K)`` bool.
        suspects (Tensor): ``(N, K)`` bool, labels that weigh nothing in the loss.
        view: Which view this process fetches, and for which iteration.
    """

    def __init__(self, content: SharedBytes, samples: int, landmarks: int) -> None:
        self._content, self._shape = content, (samples, landmarks)
        places = samples * landmarks * 8
        self.targets = content.tensor((samples, landmarks, 2), torch.float32, 0)
        self.key_ids = content.tensor((samples,), torch.int64, places)
        places += samples * 8
        self.key_hashes = content.tensor((samples,), torch.int64, places)
        places += samples * 8
        self.visible = content.tensor((samples, landmarks), torch.bool, places)
        places += samples * landmarks
        self.suspects = content.tensor((samples, landmarks), torch.bool, places)
        self.view: tuple[int, int | None] = (0, None)
        # Of this process and its workers: [seed, epoch or iteration]. Others may be
        # in another epoch already.
        self._clock = torch.zeros(2, dtype=torch.int64).share_memory_()

    @staticmethod
    def size_of(samples: int, landmarks: int) -> int:
        """Return how many bytes so many samples need."""
        return samples * (landmarks * 10 + 16)

    @classmethod
    def create(
        cls,
        keys: Sequence[str],
        annotations: Tensor,
        visible: Tensor,
        named: bool = False,
    ) -> SharedTargets:
        """Return the targets of samples, at their annotations.

        Args:
            keys: ``N``.
            annotations: ``(N, K, 2)``.
            visible: ``(N, K)``.
            named: Whether other processes can :meth:`open` them, until
                :meth:`unlink`.
        """
        samples, landmarks = visible.shape
        content = SharedBytes.create(cls.size_of(samples, landmarks), named)
        shared = cls(content, samples, landmarks)
        shared.targets.copy_(annotations)
        shared.visible.copy_(visible > 0)
        shared.key_ids.copy_(torch.from_numpy(key_ids(keys)))
        hashes = (zlib.crc32(key.encode()) for key in keys)
        hashed = np.fromiter(hashes, np.int64, samples)
        shared.key_hashes.copy_(torch.from_numpy(hashed))
        return shared

    @classmethod
    def open(cls, path: str, samples: int, landmarks: int) -> SharedTargets:
        """Return the targets that another process of this machine has created."""
        return cls(SharedBytes.open(path), samples, landmarks)

    def __len__(self) -> int:
        return self._shape[0]

    @property
    def num_keypoints(self) -> int:
        """``K``."""
        return self._shape[1]

    @property
    def clock(self) -> tuple[int, int]:
        """``(seed, epoch or iteration)``, as the main process set it last."""
        seed, epoch = self._clock.tolist()
        return seed, epoch

    @clock.setter
    def clock(self, seed_and_epoch: tuple[int, int]) -> None:
        self._clock.copy_(torch.tensor(seed_and_epoch, dtype=torch.int64))

    def row_of(self, key: str) -> int | None:
        """Return a sample's row; None if there is none of this key."""
        rows = (self.key_ids == int(key_ids([key])[0])).nonzero()
        return int(rows[0]) if len(rows) else None

    @property
    def path(self) -> str | None:
        """Where other processes of this machine find the targets."""
        return self._content.path

    def unlink(self) -> None:
        """Tell that everybody has opened them."""
        self._content.unlink()

    def __getstate__(self):
        """For a spawned worker: the descriptor, not the numbers."""
        return self._content, self._shape, self.view, self._clock

    def __setstate__(self, state) -> None:
        content, shape, view, clock = state
        self.__init__(content, *shape)  # type: ignore[misc]
        self.view, self._clock = view, clock


def key_ids(keys: Iterable[str]) -> np.ndarray:
    """Return 64 bits of each key's BLAKE2b, ``(N,)`` int64."""
    digests = (hashlib.blake2b(k.encode(), digest_size=8).digest() for k in keys)
    return np.frombuffer(b"".join(digests), dtype="<i8").copy()
