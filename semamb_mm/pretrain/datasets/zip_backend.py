"""A file backend of MMEngine that reads images from a zip archive."""

from __future__ import annotations

import os
import zipfile
from functools import lru_cache

from mmengine.fileio import BaseStorageBackend, register_backend

PREFIX = "zip://"


@register_backend("zip", prefixes="zip")
class ZipBackend(BaseStorageBackend):
    """Files inside a zip archive, as ``zip:///data/archive.zip/folder/a.png``.

    MMEngine chooses it by the prefix, so that ``LoadImageFromFile`` reads
    images without the archive being unpacked.
    """

    def get(self, filepath: str) -> bytes:
        """Bytes of a member.

        Raises:
            FileNotFoundError: If the archive or the member is missing.
        """
        archive, found, member = filepath.removeprefix(PREFIX).partition(".zip/")
        archive += ".zip"
        if not found:
            raise ValueError(f"{filepath}: expected {PREFIX}ARCHIVE.zip/MEMBER")
        try:
            return open_archive(archive, os.getpid()).read(member)
        except KeyError:
            raise FileNotFoundError(f"{archive} has no {member}") from None
        except zipfile.BadZipFile as error:
            raise ValueError(f"{archive}: damaged at {member}: {error}") from error

    def get_text(self, filepath: str, encoding: str = "utf-8") -> str:
        """Text of a member."""
        return self.get(filepath).decode(encoding)


@lru_cache(maxsize=8)
def open_archive(path: str, process: int) -> zipfile.ZipFile:
    """An open archive; each worker process has its own, and its own position."""
    del process
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is not a whole zip archive: {error}") from error
