import os
import tempfile

import pytest
import torch

from semamb_mm.pose.latent_targets import shared
from semamb_mm.pose.latent_targets.shared import SharedTargets

KEYS = ["a", "b", "c"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The folder for temporary files."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def create(**options):
    visible = torch.tensor([[1, 0], [1, 1], [0, 2]])
    return SharedTargets.create(KEYS, torch.rand(3, 2, 2), visible, **options)


def test_nothing_is_left_in_the_folder(folder):
    targets = create()
    assert targets.path is None and not list(folder.iterdir())
    assert targets.visible.tolist() == [[True, False], [True, True], [False, True]]
    targets.targets[1] = 7
    assert targets.targets[1].tolist() == [[7, 7], [7, 7]]


def test_where_open_files_keep_their_names_they_go_at_the_end(folder, monkeypatch):
    ends = []
    monkeypatch.setattr(shared, "NAMELESS", False)
    monkeypatch.setattr(shared.atexit, "register", lambda *call: ends.append(call))
    content = create()._content
    assert content.__reduce__() == (shared.SharedBytes.open, (content.path,))
    ((remove, path),) = ends
    remove(path)
    remove(path)
    assert path == content.path and not list(folder.iterdir())


def test_another_process_of_the_machine_maps_the_same_bytes(folder):
    mine = create(named=True)
    theirs = SharedTargets.open(mine.path, 3, 2)
    mine.unlink()
    theirs.unlink()
    assert not list(folder.iterdir())
    for name in ("targets", "visible", "key_ids", "key_hashes"):
        assert torch.equal(getattr(mine, name), getattr(theirs, name)), name
    mine.targets[2] = 9
    assert (theirs.targets[2] == 9).all()
    theirs.clock = (1, 5)
    assert mine.clock == (0, 0)  # another rank may be in another epoch


def test_rows_are_found_by_key():
    targets = create()
    assert [targets.row_of(key) for key in [*KEYS, "d"]] == [0, 1, 2, None]


def test_too_small_a_folder_is_named(folder, monkeypatch):
    def full(*arguments):
        raise OSError("No space left on device")

    monkeypatch.setattr(shared, "_reserve", full)
    with pytest.raises(OSError, match=f"no room for .*{folder}: point TMPDIR"):
        create()
    assert not list(folder.iterdir())


def test_descriptors_are_closed():
    descriptor = create()._content.descriptor
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)
