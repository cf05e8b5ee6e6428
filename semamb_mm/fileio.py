"""Checkpoints that are whole or not there."""

from __future__ import annotations

import os
from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend


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
        path = Path(filepath)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".unfinished-{os.getpid()}-{path.name}")
        try:
            with open(temporary, "wb") as file:
                file.write(obj)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)
