"""A video's index: pairing frames with annotations, and keeping it."""

import os

import numpy as np
import pytest

from semamb_mm.formats import index_300vw
from semamb_mm.formats.index_300vw import FRAMES, VIDEO, build_index
from semamb_mm.formats.pts import PtsError, write_pts
from tests.trees.faces import write_300vw_frames
from tests.trees.videos import (
    SIZE,
    damage_packet,
    encode_video,
    extract,
    landmarks,
    write_annotations,
    write_tree,
)

LAYOUTS = pytest.mark.parametrize("layout", [VIDEO, FRAMES], ids=["video", "frames"])


@pytest.fixture
def folder(tmp_path):
    """Five frames, as a video and as images."""
    pytest.importorskip("av", reason="PyAV reads the videos")
    write_tree(tmp_path, {"001": 5})
    extract(tmp_path, "001", range(1, 6))
    return tmp_path / "001"


@LAYOUTS
def test_a_kept_index_is_the_built_one(folder, layout, tmp_path):
    index = build_index(folder, layout, 0, "error")
    assert index.numbers.tolist() == [1, 2, 3, 4, 5] and index.size == SIZE
    expected = np.stack([landmarks(number) for number in range(1, 6)])
    np.testing.assert_allclose(index.keypoints[:, 0], expected, atol=1e-3)
    path = tmp_path / "kept" / "001.npz"
    index_300vw.store_index(path, index, "mark")
    again = index_300vw.load_index(path, "mark")
    for name in ("numbers", "keypoints", "boxes", "visible", "stamps"):
        kept, built = getattr(again, name), getattr(index, name)
        np.testing.assert_array_equal(kept, built)
        assert kept.dtype == built.dtype
    assert (again.size, again.notes) == (index.size, index.notes)
    if layout is VIDEO:
        assert again.names is None and again.facts.num_frames == 5
        np.testing.assert_array_equal(again.facts.keys, index.facts.keys)
    else:
        assert again.facts is None
        assert again.names.tolist() == [f"{n:06d}.png" for n in range(1, 6)]
    assert index_300vw.load_index(path, "other mark") is None
    assert index_300vw.load_index(tmp_path / "absent.npz", "mark") is None
    path.write_bytes(b"half a file")
    assert index_300vw.load_index(path, "mark") is None


@LAYOUTS
def test_the_fingerprint_changes_with_the_files(folder, layout):
    def mark(origin=0, on_mismatch="error"):
        return index_300vw.fingerprint(folder, layout, origin, on_mismatch)

    before = mark()
    assert mark() == before
    assert len({before, mark(origin=1), mark(on_mismatch="skip")}) == 3
    (folder / "annot" / "000005.pts").unlink()
    without = mark()
    assert without != before
    os.utime(folder / layout.pictures, ns=(1, 1))
    assert mark() not in (before, without)


def test_an_annotation_written_in_place_is_read_anew(folder):
    index = build_index(folder, VIDEO, 0, "error")
    path = index_300vw.pts_path(folder, 2)
    keypoints, _, visible = index.annotation(1, path, 0)
    np.testing.assert_allclose(keypoints[0], landmarks(2), atol=1e-3)
    assert visible.all()
    moved = landmarks(2) - (60, 0)
    write_pts(path, moved)
    os.utime(path, ns=(1, 1))
    keypoints, box, visible = index.annotation(1, path, 0)
    np.testing.assert_allclose(keypoints[0], moved, atol=1e-3)
    np.testing.assert_allclose(box[0, :2], moved.min(0), atol=1e-3)
    np.testing.assert_array_equal(visible[0] == 1, moved[:, 0] > -0.5)


def test_mismatches_are_an_error_or_a_note(folder):
    (folder / "annot" / "000002.pts").unlink()
    write_annotations(folder / "annot", [6])
    for layout, where in ((VIDEO, "vid.avi"), (FRAMES, "imgs/")):
        with pytest.raises(PtsError, match=f"000002.* without a frame in {where}"):
            build_index(folder, layout, 0, "error")
        index = build_index(folder, layout, 0, "skip")
        assert index.numbers.tolist() == [1, 3, 4, 5]
        assert index.notes[0].endswith("; 4 frames are used")


def test_nothing_to_use(tmp_path):
    folder = write_300vw_frames(tmp_path, ["001"], num_frames=2) / "001"
    for path in (folder / "annot").iterdir():
        path.unlink()
    with pytest.raises(PtsError, match="annot is empty"):
        build_index(folder, FRAMES, 0, "skip")
    write_annotations(folder / "annot", [7])
    with pytest.raises(PtsError, match="No frame can be used"):
        build_index(folder, FRAMES, 0, "skip")
    for path in (folder / "imgs").iterdir():
        path.unlink()
    with pytest.raises(FileNotFoundError, match="imgs is empty"):
        build_index(folder, FRAMES, 0, "skip")
    (folder / "imgs").rmdir()
    with pytest.raises(FileNotFoundError, match="no folder imgs/"):
        build_index(folder, FRAMES, 0, "skip")
    (folder / "annot" / "000007.pts").unlink()
    (folder / "annot").rmdir()
    with pytest.raises(PtsError, match="no folder annot/"):
        build_index(folder, FRAMES, 0, "skip")


def test_lost_frames_end_what_is_certain(tmp_path):
    pytest.importorskip("av", reason="PyAV reads the videos")
    encode_video(tmp_path / "001/vid.avi", 40, "mpeg4", dict(g="12"))
    write_annotations(tmp_path / "001/annot", range(1, 41))
    damage_packet(tmp_path / "001/vid.avi", 20)
    index = build_index(tmp_path / "001", VIDEO, 0, "skip")
    assert index.numbers.tolist() == list(range(1, 21))
    assert "certain up to 000020" in index.notes[0]


def test_where_the_index_is_kept(tmp_path, monkeypatch):
    assert index_300vw.index_folder(tmp_path, None) == tmp_path / ".semamb_mm_index"
    assert index_300vw.index_folder(tmp_path, "here").name == "here"
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setenv("XDG_CACHE_HOME", "/cache")
    places = {index_300vw.index_folder(tmp_path / name, None) for name in "ab"}
    assert len(places) == 2
    assert {str(place.parent) for place in places} == {"/cache/semamb_mm"}


def test_a_folder_that_cannot_be_written(folder):
    (folder / "file").touch()
    index = build_index(folder, FRAMES, 0, "error")
    with pytest.raises(OSError, match="index cannot be written .*cache_dir"):
        index_300vw.store_index(folder / "file" / "a.npz", index, "mark")
