"""Files and folders that are whole or not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

# How the names begin of files and folders that are being written.
UNFINISHED = ".unfinished-"


@contextmanager
def atomic_write(path: str | os.PathLike, mode: str = "w", **kwargs) -> Iterator[IO]:
    """``open(path, mode, **kwargs)`` for writing, under another name until closed.

    The file appears whole, or, if anything fails, the old one stays.
    """
    with atomic_path(path) as temporary, open(temporary, mode, **kwargs) as file:
        yield file
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A path beside ``path`` to write a file to, which gets its name at the end.

    For writers that open files themselves. The file keeps its suffix. It appears
    whole, or, if anything fails, the old one stays.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = _unfinished(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[Path]:
    """A folder beside ``path`` to fill, which gets its name at the end.

    It appears whole or not at all.

    Raises:
        FileExistsError: If there is something called ``path``.
    """
    path = Path(path)
    if path.exists():
        raise FileExistsError(f"{path} exists already; name a new folder")
    temporary = _unfinished(path)
    temporary.mkdir(parents=True)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{UNFINISHED}{os.getpid()}-{path.name}")
