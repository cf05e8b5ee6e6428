"""tools/check_dataset.py on tiny trees."""

import subprocess
import sys

import pytest

from semamb_mm.formats import aflw_list
from semamb_mm.formats.layout_300vw import CATEGORY_OF
from tests import ROOT
from tests.pretrain.datasets.test_omniglot import make_archives, make_folders
from tests.trees.faces import (
    AFLW_TRAIN,
    PARTS,
    face_68,
    write_300vw_frames,
    write_300w,
    write_aflw,
    write_image,
    write_pts_by_hand,
)
from tests.trees.retrieval import (
    make_cars,
    make_cub,
    make_inshop,
    make_lpw,
    make_market1501,
    make_mars,
    make_sop,
)
from tests.trees.videos import write_annotations, write_video
from tools import check_dataset


@pytest.fixture(scope="module")
def tool():
    return check_dataset


def make_300vw(root):
    return write_300vw_frames(root, CATEGORY_OF, num_frames=1)


TINY = {
    "cub": (make_cub, [2, 6, 3, 9]),
    "cars196": (make_cars, [2, 8, 2, 8]),
    "sop": (make_sop, [10, 20, 10, 20]),
    "market1501": (make_market1501, [3, 9, 2, 3, 2, 3, 1, 1]),
    "inshop": (make_inshop, [4, 4, 16, 8, 8]),
    "mars": (make_mars, [3, 6, 12, 4, 7, 14, 3]),
    "lpw": (make_lpw, [4, 5, 15, 3, 6, 18, 3]),
    "omniglot-small": (make_folders, [4, 12, 8, 24]),
    "omniglot": (make_archives, [4, 12, 2, 6]),
    "300w": (write_300w, list(PARTS.values())),
    # One frame a video.
    "300vw": (make_300vw, [50, 50, 31, 31, 19, 19, 14, 14]),
    "aflw": (write_aflw, [4, 2, 2]),
}


@pytest.fixture(autouse=True)
def _short_list(monkeypatch):
    monkeypatch.setattr(aflw_list, "NUM_TRAIN", AFLW_TRAIN)


def check(tool, monkeypatch, name, root, *options):
    """Runs the tool with the tiny tree's numbers as the expected ones."""
    entry = tool.DATASETS[name]
    expected = dict(zip(entry.expected, TINY[name][1], strict=True))
    monkeypatch.setitem(tool.DATASETS, name, entry._replace(expected=expected))
    monkeypatch.setattr(sys, "argv", ["check_dataset.py", name, str(root), *options])
    tool.main()


@pytest.mark.parametrize("name", TINY)
def test_whole_tree_passes(tool, monkeypatch, tmp_path, capsys, name):
    assert set(TINY) == set(tool.DATASETS)
    root = TINY[name][0](tmp_path)
    check(tool, monkeypatch, name, root, "--verify", "--workers", "2")
    assert f"{name}: all as expected" in capsys.readouterr().out


@pytest.mark.parametrize("name", TINY)
def test_protocol_numbers_are_held_against_it(tool, monkeypatch, tmp_path, name):
    root = TINY[name][0](tmp_path)
    monkeypatch.setattr(sys, "argv", ["check_dataset.py", name, str(root)])
    protocol = tool.DATASETS[name].expected.values()
    wrong = sum(tiny != number for tiny, number in zip(TINY[name][1], protocol))
    with pytest.raises(SystemExit, match=f"{name}: {wrong} problems"):
        tool.main()


def test_every_bad_file_is_named(tool, monkeypatch, tmp_path, capsys):
    root = make_mars(tmp_path)
    folder = tmp_path / "bbox_train" / "0001"
    (folder / "0001C1T0001F001.jpg").unlink()
    (folder / "Thumbs.db").write_text("")
    short = folder / "0001C1T0001F002.jpg"
    short.write_bytes(short.read_bytes()[:-200])
    names = tmp_path / "info" / "test_name.txt"
    names.write_text(names.read_text().replace("T0001F002", "T0001F001"))
    with pytest.raises(SystemExit, match="mars: 5 problems"):
        check(tool, monkeypatch, "mars", root, "--verify", "--workers", "1")
    out = capsys.readouterr().out
    assert f"missing: {folder}/0001C1T0001F001.jpg\n" in out
    assert f"surplus: {folder}/Thumbs.db\n" in out
    assert f"surplus: {tmp_path}/bbox_test/00-1/00-1C1T0001F002.jpg\n" in out
    assert f"listed 2 times: {tmp_path}/bbox_test/00-1/00-1C1T0001F001.jpg\n" in out
    assert f"unreadable: {short} (OSError: " in out


def test_hidden_files_are_named_and_no_problem(tool, monkeypatch, tmp_path, capsys):
    hidden = ["bbox_train/.DS_Store", "bbox_test/.sync/a.jpg"]
    root = make_mars(tmp_path / ".data")
    for path in (tmp_path / ".data" / name for name in hidden):
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    check(tool, monkeypatch, "mars", root)
    out = capsys.readouterr().out
    for name in hidden:
        assert f"hidden, not read: {root}/{name}\n" in out


@pytest.mark.parametrize("name", ["cub", "sop", "inshop"])
def test_a_first_image_that_is_missing_is_listed(
    tool, monkeypatch, tmp_path, capsys, name
):
    root = TINY[name][0](tmp_path)
    first = min(tmp_path.rglob("*.[jJ][pP][gG]"))
    first.unlink()
    with pytest.raises(SystemExit, match=f"{name}: 1 problems"):
        check(tool, monkeypatch, name, root)
    assert f"missing: {first}\n" in capsys.readouterr().out


def test_lpw_is_read_on_past_odd_folders(tool, monkeypatch, tmp_path, capsys):
    root = make_lpw(tmp_path)
    (tmp_path / "scen1/view1/2").rename(tmp_path / "scen1/view1/someone")
    (tmp_path / "scen2/view4/8").mkdir()
    (tmp_path / "scen2/view4/.cache").mkdir()
    with pytest.raises(SystemExit, match="lpw: 7 problems"):
        check(tool, monkeypatch, "lpw", root)
    out = capsys.readouterr().out
    assert "test tracklets: 5 where 6 are expected" in out
    assert "train tracklets: 6 where 5 are expected" in out
    assert f"missing: {root}/scen2/view4/8/*.jpg\n" in out
    assert f"surplus: {root}/scen1/view1/someone/9.jpg\n" in out


def test_what_cannot_be_loaded_is_named(tool, monkeypatch, tmp_path):
    make_cub(tmp_path)
    (tmp_path / "bounding_boxes.txt").unlink()
    with pytest.raises(SystemExit, match=r"cub: no file .*bounding_boxes.txt"):
        check(tool, monkeypatch, "cub", tmp_path)


def test_missing_root_is_named(tool, monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="300vw: no folder .*/absent"):
        check(tool, monkeypatch, "300vw", tmp_path / "absent")


def test_300w_bad_files_are_named(tool, monkeypatch, tmp_path, capsys):
    images = tmp_path / "images"
    write_300w(images)
    trainset = images / "helen" / "trainset"
    (trainset / "image_0001.pts").unlink()
    (trainset / "image_0002.jpg").unlink()
    write_pts_by_hand(trainset / "image_0003.pts", face_68(1)[:50])
    (trainset / "readme.txt").write_text("")
    write_image(images / "afw" / "image_0001_mirror.jpg")  # of some copies: no matter
    for path in (images / "ibug").iterdir():
        path.unlink()
    (images / "ibug").rmdir()
    short = images / "lfpw" / "testset" / "image_0001.png"
    short.write_bytes(short.read_bytes()[:-200])
    with pytest.raises(SystemExit, match="300w: 7 problems"):
        check(tool, monkeypatch, "300w", tmp_path, "--verify", "--workers", "1")
    out = capsys.readouterr().out
    assert "train: 7\nvalid_common: 3\nvalid_challenge: 0\nvalid: 3\n" in out
    assert "ibug: 0 where 2 are expected\n" in out
    assert f"missing: {images}/ibug\n" in out
    assert f"missing: {trainset}/image_0001.pts\n" in out
    assert f"missing: {trainset}/image_0002.jpg\n" in out
    assert f"surplus: {trainset}/readme.txt\n" in out
    bad_pts = trainset / "image_0003.pts"
    assert f"unreadable: {bad_pts} (PtsError: {bad_pts}, line 54: 50 land" in out
    assert f"unreadable: {short} (" in out


def test_300vw_half_extracted_frames_are_named(tool, monkeypatch, tmp_path, capsys):
    make_300vw(tmp_path)
    write_300vw_frames(tmp_path, ["401"], num_frames=3)
    (tmp_path / "401" / "annot" / "000002.pts").unlink()
    (tmp_path / "401" / "imgs" / "000001.png").unlink()
    (tmp_path / "401" / "imgs" / ".unfinished-7-000001.jpg").write_text("")
    for path in (tmp_path / "562").rglob("*.*"):
        path.unlink()
    with pytest.raises(SystemExit, match="300vw: 7 problems"):
        check(tool, monkeypatch, "300vw", tmp_path)
    out = capsys.readouterr().out
    assert "category1 frames: 32 where 31 are expected\n" in out
    assert "category3 frames: 13 where 14 are expected\n" in out
    assert f"missing: {tmp_path}/401/annot/000002.pts\n" in out
    assert f"missing: {tmp_path}/401/imgs/000001.jpg\n" in out
    assert f"surplus: {tmp_path}/401/imgs/.unfinished-7-000001.jpg\n" in out
    assert f"missing: {tmp_path}/562/annot/000001.pts\n" in out
    assert f"missing: {tmp_path}/562/imgs/000001.jpg\n" in out


def test_300vw_broken_frames_do_not_count(tool, tmp_path):
    write_annotations(tmp_path / "401" / "annot", range(720, 724))
    counts = tool.read_300vw(str(tmp_path)).counts
    # 722 and 723 are on the published list.
    assert counts["category1 frames"] == 2


def test_300vw_videos_are_decoded(tool, monkeypatch, tmp_path, capsys):
    pytest.importorskip("av", reason="PyAV reads the videos")
    make_300vw(tmp_path)
    for video, num_frames in (("001", 1), ("002", 3), ("003", 3)):
        write_video(tmp_path / video / "vid.avi", num_frames)
    cut = tmp_path / "003" / "vid.avi"
    cut.write_bytes(cut.read_bytes()[:300])
    with pytest.raises(SystemExit, match="300vw: 2 problems"):
        check(tool, monkeypatch, "300vw", tmp_path, "--verify", "--workers", "2")
    out = capsys.readouterr().out
    assert f"unreadable: {tmp_path}/002/vid.avi (3 frames can be decoded of 3" in out
    assert "and there are 1 .pts files" in out
    assert f"unreadable: {cut} (VideoError: " in out


def test_aflw_missing_images_are_named(tool, monkeypatch, tmp_path, capsys):
    write_aflw(tmp_path)
    flickr = tmp_path / "data" / "flickr"
    (flickr / "3" / "image00035.jpg").unlink()
    write_image(flickr / "0" / "image00099.jpg")
    with pytest.raises(SystemExit, match="aflw: 1 problems"):
        check(tool, monkeypatch, "aflw", tmp_path)
    out = capsys.readouterr().out
    assert f"missing: {flickr}/3/image00035.jpg\n" in out
    assert "images not in the list: 1\n" in out
    (tmp_path / "AFLWinfo_release.mat").unlink()
    with pytest.raises(SystemExit, match="aflw: no AFLWinfo_release.mat"):
        check(tool, monkeypatch, "aflw", tmp_path)


@pytest.mark.parametrize(
    ("absent", "works", "fails"),
    [("mmpretrain", ["300w"], ["cub"]), ("mmpose", ["cub", "300w"], [])],
)
def test_needs_only_one_framework(tmp_path, absent, works, fails):
    """Faces need no framework, the other data sets MMPretrain."""
    write_300w(tmp_path)
    make_cub(tmp_path)

    def run(name):
        code = (
            f"import runpy, sys; sys.modules[{absent!r}] = None; "
            f"sys.argv = ['check_dataset.py', {name!r}, {str(tmp_path)!r}]; "
            "runpy.run_module('tools.check_dataset', run_name='__main__')"
        )
        command = [sys.executable, "-c", code]
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=ROOT
        )

    for name in works:
        done = run(name)
        assert done.stdout and "problems" in done.stderr
        assert absent not in done.stderr
    for name in fails:
        done = run(name)
        assert done.returncode == 1 and f"needs {absent}" in done.stderr.lower()
        assert "Traceback" not in done.stderr
