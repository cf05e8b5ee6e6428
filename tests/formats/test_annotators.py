"""Files of several annotators."""

import json

import numpy as np
import pytest

from semamb_mm.formats.annotators import (
    AnnotatorsError,
    find_image,
    group_equal_files,
    match_samples,
    read_one_coco,
    read_several_coco,
    read_several_pts,
)
from tests.trees.annotators import LANDMARKS, coco, marks, write_coco, write_pts_folders

NAMES = ["anna", "ben", "eva"]
MISSING = [(1, 2, 3), (2, 4, None), (0, 0, 0)]


def expected(points):
    points = points.copy()
    for a, i, k in MISSING:
        points[a, i, slice(None) if k is None else k] = np.nan
    return points


def test_several_json_files(tmp_path):
    """Each landmark and image may be missing."""
    points = marks(samples=6)
    read = read_several_coco(write_coco(tmp_path, points, NAMES, MISSING))
    assert (read.names, read.landmarks) == (NAMES, list(LANDMARKS))
    assert read.images[:2] == ["000.png", "001.png"]
    assert read.groups.tolist() == list(range(6))
    np.testing.assert_array_equal(read.points, expected(points))
    assert read.only("eva").points.shape == (1, 6, 5, 2)


def test_one_json_file(tmp_path):
    """The same figures, whoever comes first."""
    points = marks(samples=6)
    path = tmp_path / "all.json"
    content = coco(points, NAMES, MISSING)
    content["annotations"].reverse()
    path.write_text(json.dumps(content))
    read = read_one_coco(path)
    assert read.names == NAMES
    np.testing.assert_array_equal(read.points, expected(points))
    del content["annotations"][0]["annotator"]
    path.write_text(json.dumps(content))
    with pytest.raises(AnnotatorsError, match=r"all.json: annotation 16 has no 'ann"):
        read_one_coco(path)


def test_several_folders_of_pts(tmp_path):
    """A missing file is a missing sample."""
    points = marks(samples=4)
    folders = write_pts_folders(tmp_path, points, NAMES)
    (folders["ben"] / "002.pts").unlink()
    read = read_several_pts(folders)
    assert read.samples == ["000", "001", "002", "003"]
    assert np.isnan(read.points[1, 2]).all()
    np.testing.assert_allclose(read.points[0], points[0], atol=1e-3)
    (folders["eva"] / "000.pts").write_text("1 2\n3 4\n")
    with pytest.raises(AnnotatorsError, match=r"eva/000.pts has 2 landmarks.*has 5"):
        read_several_pts(folders)


def test_repeats_are_samples_of_the_same_picture(tmp_path):
    """As are images of one group, and files of equal content."""
    points = marks(NAMES[:1], samples=4)
    content = coco(points, NAMES[:1])
    for annotation in content["annotations"]:
        annotation["annotator"] = "anna"
    again = dict(content["annotations"][1], id=9, repeat=2)
    content["annotations"].append(again)
    path = tmp_path / "anna.json"
    path.write_text(json.dumps(content))
    read = read_one_coco(path)
    assert read.samples == ["000.png", "001.png", "001.png@2", "002.png", "003.png"]
    assert read.groups.tolist() == [0, 1, 1, 2, 3]
    for image, group in zip(content["images"], (7, 8, 7, 9)):
        image["group"] = group
    path.write_text(json.dumps(content))
    assert read_one_coco(path).groups.tolist() == [0, 1, 1, 0, 2]
    files = [tmp_path / name for name in "abcd"]
    for file, text in zip(files, ("x", "y", "z", "x")):
        file.write_text(text)
    groups = group_equal_files(np.array([0, 1, 1, 2]), files)
    assert len(set(groups[[0, 3]])) == len(set(groups[[1, 2]])) == 1
    assert len(set(groups)) == 2
    alone = group_equal_files(np.arange(4), [*files[:3], None])
    assert alone.tolist() == [0, 1, 2, 3]


def test_images_are_found_with_or_without_suffix(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a/1.png").touch()
    assert find_image(tmp_path, "a/1") == find_image(tmp_path, "a/1.png")
    assert find_image(tmp_path, "a/2") is None


def test_instances_are_matched_by_what_tells_them_apart():
    """Where an image holds one each, what it is called does not matter."""
    samples, rows = match_samples(
        dict(
            anna=[("a", 1, 0), ("b", 5, 0), ("b", 6, 0)],
            ben=[("b", 6, 0), ("a", 9, 0)],
        )
    )
    assert samples == [("a", None, 0), ("b", 5, 0), ("b", 6, 0)]
    assert rows == dict(anna=[0, 1, 2], ben=[2, 0])


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (dict(a=[("x", None, 0)] * 2, b=[]), "a has 'x' more than once.*'instance'"),
        (dict(a=[("x", 1, 0)], b=[("y", 1, 0)]), "a, b share no image: .*'x', 'y'"),
        (
            dict(a=[("x", 1, 0), ("x", 2, 0)], b=[("x", 3, 0)]),
            "image 'x' holds several instances.*same 'id'",
        ),
    ],
)
def test_samples_that_do_not_match_are_refused(keys, message):
    with pytest.raises(AnnotatorsError, match=message):
        match_samples(keys)


def damaged(content, what):
    """A file's text with one thing wrong."""
    if what == "text":
        return "{"
    if what == "layout":
        return json.dumps([content])
    if what == "empty":
        content["annotations"] = []
    if what == "odd":
        content["annotations"][0]["keypoints"] = [1, 2]
    if what == "infinite":
        content["annotations"][0]["keypoints"][:3] = [float("nan"), 1, 2]
    if what == "fewer":
        for annotation in content["annotations"]:
            annotation["keypoints"] = annotation["keypoints"][:12]
    if what == "order":
        content["categories"][0]["keypoints"].reverse()
    return json.dumps(content)


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("text", "ben.json: no json file"),
        ("layout", "ben.json: not in COCO's layout.*'image_id'"),
        ("empty", "ben.json: no annotation with keypoints"),
        ("odd", "ben.json: keypoints of annotation 0 are no x, y, v"),
        ("infinite", "ben.json: annotation 0 has visible keypoints that are not"),
        ("fewer", "ben has 4 landmarks in '002.png', anna has 5 in '002.png'"),
        ("order", "landmark 0 is 'tip' in one file and 'end' in another"),
    ],
)
def test_bad_files_are_named(tmp_path, what, message):
    points = marks(NAMES[:2], samples=3)
    files = write_coco(tmp_path, points, NAMES[:2])
    files["ben"].write_text(damaged(coco(points[1:]), what))
    with pytest.raises(AnnotatorsError, match=message):
        read_several_coco(files)
