"""Corrected copies of .pts trees, videos and COCO files; the original stays."""

import csv
import json

import numpy as np
import pytest

from semamb_mm.audit.corrected import LOG, write_corrected
from semamb_mm.audit.decisions import DecisionsError, read_decisions
from semamb_mm.audit.sources import SourceError, open_source
from semamb_mm.formats.pts import read_pts, write_pts
from tests.trees.coco_style import annotations_of
from tests.trees.faces import face_68, write_300vw_frames

from .reviews import decisions_file, review_of, write_tree

DECISIONS = [
    ("000000", 10, "accept", [50.25, 41]),
    ("000000", 11, "keep", None),
    ("000001", 10, "move", [60.5, 42.125]),
    ("000001", 12, "hidden", None),
    ("000002", 10, "skip", None),
]


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def log_of(folder):
    with open(folder / LOG, newline="") as file:
        return list(csv.DictReader(file))


def correct(decisions_path, *datasets, out, origin=0, **options):
    decisions = read_decisions(decisions_path)
    sources = [open_source(path, decisions.num_keypoints, origin) for path in datasets]
    return write_corrected(decisions, sources, out, **options)


def test_a_tree_changes_where_it_was_decided(tmp_path):
    data, out = tmp_path / "data", tmp_path / "out"
    review = write_tree(data)
    (data / "000002.pts").rename(data / "000002.PTS")
    (data / "train.txt").write_text("000000\n000001\n")
    (data / ".index").write_text("of the original")
    (data / "more").symlink_to(tmp_path)
    before = contents(data)
    path = decisions_file(tmp_path / "decisions.json", review, DECISIONS)
    changes = correct(path, data, out=out)
    assert contents(data) == before
    assert [change.in_log_alone for change in changes] == [False, False, True]
    after = contents(out)
    del before[".index"]
    assert after.keys() == before.keys() | {LOG}
    changed = [name for name in before if after[name] != before[name]]
    assert changed == ["000000.pts", "000001.pts"]
    assert (out / "000000.png").is_symlink() and not (out / "000002.PTS").is_symlink()
    assert (out / "more").resolve() == tmp_path.resolve()
    for name, points in (
        ("000000.pts", {10: (50.25, 41)}),
        ("000001.pts", {10: (60.5, 42.125)}),
    ):
        expected = read_pts(data / name)
        for k, point in points.items():
            expected[k] = point
        np.testing.assert_array_equal(read_pts(out / name), expected)


def test_the_log_says_what_changed(tmp_path):
    review = write_tree(tmp_path / "data")
    path = decisions_file(tmp_path / "decisions.json", review, DECISIONS)
    correct(path, tmp_path / "data", out=tmp_path / "out")
    rows = log_of(tmp_path / "out")
    assert [(r["sample"], r["landmark"], r["decision"]) for r in rows] == [
        ("000000", "10", "accept"),
        ("000001", "10", "move"),
        ("000001", "12", "hidden"),
    ]
    old = review.annotations[0, 10]
    np.testing.assert_allclose(
        [float(rows[0][name]) for name in ("old_x", "old_y", "new_x", "new_y")],
        [*old, 50.25, 41],
        atol=1e-3,
    )
    distance = np.hypot(*(old - (50.25, 41)))
    assert float(rows[0]["moved_px"]) == pytest.approx(distance, abs=2e-3)
    assert float(rows[2]["moved_px"]) == 0
    assert (
        {row["old_flag"] for row in rows} == {row["new_flag"] for row in rows} == {""}
    )


def test_frames_of_videos_are_found_by_their_keys(tmp_path):
    data = write_300vw_frames(tmp_path / "data", ["001", "401"])
    keys = ["001/000001", "401/000002"]
    files = [data / "001/annot/000001.pts", data / "401/annot/000002.pts"]
    review = review_of(keys, [read_pts(path) for path in files])
    path = decisions_file(
        tmp_path / "decisions.json", review, [(keys[1], 10, "move", [3, 4])]
    )
    correct(path, data, out=tmp_path / "out")
    expected = read_pts(files[1])
    expected[10] = (3, 4)
    np.testing.assert_array_equal(
        read_pts(tmp_path / "out/401/annot/000002.pts"), expected
    )
    before, after = contents(data), contents(tmp_path / "out")
    assert [name for name in before if after[name] != before[name]] == [
        "401/annot/000002.pts"
    ]


def write_coco(folder, count=3):
    folder.mkdir()
    content = annotations_of(68, count)
    path = folder / "faces.json"
    path.write_text(json.dumps(content))
    triplets = [np.reshape(a["keypoints"], (68, 3)) for a in content["annotations"]]
    points = [np.where(t[:, 2:] > 0, t[:, :2], np.nan) for t in triplets]
    keys = [f"300w/{i:012d}.jpg#{i}" for i in range(1, count + 1)]
    return path, review_of(keys, points, suspects=0)


@pytest.mark.parametrize(("hidden", "labelled"), [(1, 68), (0, 67)])
def test_a_coco_file_keeps_all_else(tmp_path, hidden, labelled):
    source, review = write_coco(tmp_path / "data")
    before = source.read_bytes()
    keys = review.keys
    decisions = [(keys[2], 5, "move", [7.125, 8]), (keys[1], 6, "hidden", None)]
    path = decisions_file(tmp_path / "decisions.json", review, decisions)
    changes = correct(path, source, out=tmp_path / "out", hidden=hidden)
    assert source.read_bytes() == before
    assert [change.flags for change in changes] == [(2, 2), (2, hidden)]
    expected = json.loads(before)
    expected["annotations"][2]["keypoints"][15:17] = [7.125, 8]
    expected["annotations"][1]["keypoints"][20] = hidden
    expected["annotations"][1]["num_keypoints"] = labelled
    assert json.loads((tmp_path / "out/faces.json").read_text()) == expected
    rows = log_of(tmp_path / "out")
    assert [(r["old_flag"], r["new_flag"]) for r in rows] == [
        ("2", "2"),
        ("2", str(hidden)),
    ]


def test_what_a_file_says_already_is_in_the_log_alone(tmp_path):
    source, review = write_coco(tmp_path / "data")
    content = json.loads(source.read_text())
    content["annotations"][1]["keypoints"][20] = 1
    source.write_text(json.dumps(content))
    decisions = [(review.keys[1], 6, "hidden", None)]
    path = decisions_file(tmp_path / "decisions.json", review, decisions)
    (change,) = correct(path, source, out=tmp_path / "out")
    assert change.flags == (1, 1) and change.in_log_alone


@pytest.mark.parametrize(
    "key", ["300w/other.jpg#1", "300w/000000000001.jpg#9", "1", "x000000000001.jpg#1"]
)
def test_a_coco_sample_is_known_by_image_and_number(tmp_path, key):
    source, _ = write_coco(tmp_path / "data")
    assert key not in open_source(source, 68)
    assert "300w/000000000001.jpg#1" in open_source(source, 68)
    assert "/data/images/000000000001.jpg#1" in open_source(source, 68)


def test_several_data_sets_are_told_apart(tmp_path):
    """As the store's keys: the number of a later one before a key that is taken."""
    one, two = tmp_path / "one", tmp_path / "two"
    review = write_tree(one)
    write_tree(two, count=4)
    keys = ["000001", "1:000001", "000003"]
    faces = [face_68(1), face_68(1), face_68(3)]
    review = review_of(keys, faces)
    decisions = [(key, 10, "move", [20 + i, 30]) for i, key in enumerate(keys)]
    path = decisions_file(tmp_path / "decisions.json", review, decisions)
    correct(path, one, two, out=tmp_path / "out")
    for name, x in (("0/000001", 20), ("1/000001", 21), ("1/000003", 22)):
        assert read_pts(tmp_path / f"out/{name}.pts")[10].tolist() == [x, 30]
    assert len(log_of(tmp_path / "out")) == 3


@pytest.mark.parametrize("first", [(1, 1), (0.5, 0)])
def test_other_annotations_than_the_page_showed_are_refused(tmp_path, first):
    data = tmp_path / "data"
    review = write_tree(data)
    path = decisions_file(tmp_path / "decisions.json", review, DECISIONS)
    for i in range(3):
        write_pts(data / f"{i:06d}.pts", face_68(i) + first)
    hint = "see --origin" if first == (1, 1) else "Make the page anew"
    with pytest.raises(DecisionsError, match=f"5 of 5 decided landmarks .*{hint}"):
        correct(path, data, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    if first == (1, 1):
        correct(path, data, out=tmp_path / "out", origin=1)
        moved = read_pts(tmp_path / "out/000000.pts", origin=1)[10]
        np.testing.assert_allclose(moved, (50.25, 41))


def test_decisions_are_not_applied_twice(tmp_path):
    review = write_tree(tmp_path / "data")
    path = decisions_file(tmp_path / "decisions.json", review, DECISIONS)
    correct(path, tmp_path / "data", out=tmp_path / "out")
    with pytest.raises(DecisionsError, match="2 of 5 decided .*corrected since"):
        correct(path, tmp_path / "out", out=tmp_path / "again")


def test_unknown_samples_are_refused(tmp_path):
    write_tree(tmp_path / "data")
    keys = ["000000", "../000001", "/etc/passwd"]
    review = review_of(keys, [face_68(i) for i in range(3)])
    decisions = [(key, 10, "move", [1, 2]) for key in keys]
    path = decisions_file(tmp_path / "decisions.json", review, decisions)
    with pytest.raises(DecisionsError, match=r"2 of 3 samples .* '../000001'"):
        correct(path, tmp_path / "data", out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_another_mark_up_is_refused(tmp_path):
    source, review = write_coco(tmp_path / "data")
    content = json.loads(source.read_text())
    content["annotations"][1]["keypoints"] = [1, 2, 2]
    source.write_text(json.dumps(content))
    decisions = [(review.keys[1], 5, "keep", None)]
    path = decisions_file(tmp_path / "decisions.json", review, decisions)
    with pytest.raises(SourceError, match="annotation 2 does not hold 68 keypoints"):
        correct(path, source, out=tmp_path / "out")


@pytest.mark.parametrize(
    "text",
    ["[]", "{", '{"images": [], "annotations": [{}]}', '{"images": 1}', "[" * 99999],
)
def test_other_files_are_no_data_set(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(SourceError, match=r"a.json: not a COCO file of keypoints"):
        open_source(tmp_path / "a.json", 68)


def test_folders_without_annotations_are_no_data_set(tmp_path):
    with pytest.raises(SourceError, match=r"no .pts files below it"):
        open_source(tmp_path, 68)
    with pytest.raises(SourceError, match="no such file or folder"):
        open_source(tmp_path / "nothing", 68)


def test_nothing_is_written_over_or_into_the_data(tmp_path):
    data = tmp_path / "data"
    review = write_tree(data)
    path = decisions_file(tmp_path / "decisions.json", review, DECISIONS)
    with pytest.raises(ValueError, match="lies inside the data set"):
        correct(path, data, out=data / "out")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        correct(path, data, out=tmp_path / "out")


def test_a_copy_that_fails_leaves_nothing(tmp_path, monkeypatch):
    data = tmp_path / "data"
    review = write_tree(data)
    path = decisions_file(tmp_path / "decisions.json", review, DECISIONS)
    monkeypatch.setattr("semamb_mm.audit.sources.move_points", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        correct(path, data, out=tmp_path / "out")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "decisions.json"]
