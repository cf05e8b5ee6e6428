"""Files that are whole or not there."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from mmengine.fileio import LocalBackend, register_backend


@contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w", **kwargs) -> Iterator[IO]:
    """``open(path, mode, **kwargs)`` for writing, under another name until closed.

    The file appears whole, or, if anything fails, the old one stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
    try:
        with open(temporary, mode, **kwargs) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@register_backend("atomic_local")
class AtomicLocalBackend(LocalBackend):
    """MMEngine's local files, written under another name and then renamed.

    MMEngine writes a checkpoint in place, so that a kill at the wrong moment
    leaves half a file under its name. In a config:
    ``default_hooks=dict(checkpoint=dict(backend_args=dict(
    backend='atomic_local')))``.
    """

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; the file appears whole, or the old one stays."""
        with atomic_write(filepath, "wb") as file:
            file.write(obj)
