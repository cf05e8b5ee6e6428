"""What is written appears whole or not at all."""

import os

import pytest

from semamb_mm.formats.files import atomic_folder, atomic_path, atomic_write


def write_by_hand(path, text):
    with atomic_write(path) as file:
        file.write(text)


def write_at_path(path, text):
    with atomic_path(path) as temporary:
        temporary.write_text(text)


WRITERS = pytest.mark.parametrize("write", [write_by_hand, write_at_path])


@WRITERS
def test_a_file_is_written_into_a_new_folder(tmp_path, write):
    path = tmp_path / "new" / "a.txt"
    write(path, "first")
    write(path, "second")
    assert path.read_text() == "second"
    assert os.listdir(path.parent) == ["a.txt"]


def test_modes_and_encodings_are_those_of_open(tmp_path):
    with atomic_write(tmp_path / "a.bin", "wb") as file:
        file.write(b"\x00\xff")
    with atomic_write(tmp_path / "a.txt", encoding="latin-1", newline="") as file:
        file.write("\xe9\r\n")
    assert (tmp_path / "a.bin").read_bytes() == b"\x00\xff"
    assert (tmp_path / "a.txt").read_bytes() == b"\xe9\r\n"


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("opened", [atomic_write, atomic_path])
def test_a_failure_leaves_what_was_there(tmp_path, opened, there):
    path = tmp_path / "a.txt"
    if there:
        path.write_text("old")
    with pytest.raises(KeyboardInterrupt), opened(path) as target:
        if opened is atomic_write:
            target.write("half of")
        else:
            target.write_text("half of")
        raise KeyboardInterrupt
    assert [p.read_text() for p in tmp_path.iterdir()] == ["old"] * there


@pytest.mark.parametrize(
    ("function", "write"), [("replace", write_at_path), ("fsync", write_by_hand)]
)
def test_a_full_disk_leaves_the_old_file(tmp_path, monkeypatch, function, write):
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, function, fail)
    with pytest.raises(OSError, match="no space"):
        write(path, "half of a new one")
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_the_unfinished_file_keeps_its_suffix_and_is_hidden(tmp_path):
    with atomic_path(tmp_path / "plot.v2.png") as temporary:
        assert temporary.suffix == ".png" and temporary.name.startswith(".")
        assert temporary.parent == tmp_path
        temporary.write_bytes(b"picture")
        assert not (tmp_path / "plot.v2.png").exists()
    assert (tmp_path / "plot.v2.png").read_bytes() == b"picture"


def test_a_path_to_which_nothing_was_written_is_an_error(tmp_path):
    with (
        pytest.raises(FileNotFoundError),
        atomic_path(tmp_path / "a.txt"),
    ):
        pass
    assert not list(tmp_path.iterdir())


def test_a_folder_appears_whole(tmp_path):
    folder = tmp_path / "new" / "tree"
    with atomic_folder(folder) as unfinished:
        (unfinished / "part").mkdir()
        (unfinished / "part" / "a.txt").write_text("a")
        assert not folder.exists()
    assert (folder / "part" / "a.txt").read_text() == "a"
    assert os.listdir(folder.parent) == ["tree"]


def test_a_folder_that_fails_does_not_appear(tmp_path):
    with pytest.raises(OSError, match="disk"), atomic_folder(tmp_path / "tree") as half:
        (half / "a.txt").write_text("a")
        raise OSError("disk")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_folder_replaces_nothing(tmp_path, kind):
    path = tmp_path / "tree"
    if kind == "file":
        path.write_text("mine")
    else:
        path.mkdir()
    with (
        pytest.raises(FileExistsError, match="tree exists already; name a new folder"),
        atomic_folder(path),
    ):
        pytest.fail("the folder was begun")
    assert list(tmp_path.iterdir()) == [path]
