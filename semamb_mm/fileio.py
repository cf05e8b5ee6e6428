"""A file backend of MMEngine that writes checkpoints whole or not at all."""

from __future__ import annotations

from pathlib import Path

from mmengine.fileio import LocalBackend, register_backend

from .formats.files import atomic_write

__all__ = ["AtomicLocalBackend", "atomic_write"]


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
