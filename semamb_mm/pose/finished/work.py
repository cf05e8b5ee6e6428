"""Long work goes on where it stopped, and is not mixed with other work."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path

from semamb_mm.formats.files import atomic_write


def claim(folder: str | os.PathLike, identity: Mapping) -> Path:
    """Take a folder for work of one kind.

    Args:
        folder: Is made.
        identity: What makes the work what it is; JSON is made of it.

    Returns:
        The folder.

    Raises:
        SystemExit: If it holds work of another kind; it names what differs.
    """
    path, mine = Path(folder) / "begun.json", json.loads(json.dumps(dict(identity)))
    if path.is_file():
        other = json.loads(path.read_text())
        differ = [k for k in {**mine, **other} if mine.get(k) != other.get(k)]
        if differ:
            raise SystemExit(
                f"{folder} holds work that was begun with another {differ[0]}. Give "
                "what it was begun with, name another folder, or delete this one"
            )
    else:
        with atomic_write(path) as file:
            json.dump(mine, file, indent=2)
    return Path(folder)


def file_hash(path: str | os.PathLike) -> str:
    """Return the SHA-256 of a file's content."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def text_hash(text: str) -> str:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()
