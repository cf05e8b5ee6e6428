import os

import pytest
from mmengine.fileio import get_file_backend

import semamb_mm.fileio  # noqa: F401


@pytest.fixture
def backend():
    return get_file_backend(backend_args=dict(backend="atomic_local"))


def test_writes_and_reads(backend, tmp_path):
    backend.put(b"abc", str(tmp_path / "new" / "a.pth"))
    assert backend.get(str(tmp_path / "new" / "a.pth")) == b"abc"
    assert os.listdir(tmp_path / "new") == ["a.pth"]


def test_a_write_that_fails_leaves_the_old_file(backend, tmp_path, monkeypatch):
    path = tmp_path / "a.pth"
    path.write_bytes(b"old")

    def full_disk(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    with pytest.raises(OSError, match="no space"):
        backend.put(b"half of a new one", str(path))
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.pth"]
