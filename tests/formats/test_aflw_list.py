"""AFLW-Full's list: what it holds, and lists that do not fit."""

import numpy as np
import pytest
from scipy.io import savemat

from semamb_mm.formats import aflw_list
from semamb_mm.formats.aflw_list import (
    AFLWListError,
    find_aflw_list,
    find_image_folder,
    read_aflw_list,
)
from tests.trees.faces import AFLW_NAMES, AFLW_TRAIN, aflw_fields, write_aflw


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    monkeypatch.setattr(aflw_list, "NUM_TRAIN", AFLW_TRAIN)


def test_a_list_and_its_images(tmp_path):
    write_aflw(tmp_path)
    faces = read_aflw_list(find_aflw_list(tmp_path))
    fields = aflw_fields()
    assert faces.names == list(AFLW_NAMES)
    assert find_image_folder(tmp_path, faces.names) == tmp_path / "data/flickr"
    x, y = np.split(fields["data"], 2, axis=1)
    expected = np.stack([x, y], -1)
    expected[1, 0] = np.nan  # hidden, at (0, 0): without a label
    np.testing.assert_array_equal(faces.keypoints, expected)
    assert faces.keypoints.dtype == faces.boxes.dtype == np.float64
    np.testing.assert_array_equal(faces.visible, fields["mask_new"] > 0)
    left, right, top, bottom = fields["bbox"].T
    np.testing.assert_array_equal(faces.boxes, np.stack([left, top, right, bottom], 1))
    np.testing.assert_allclose(
        faces.face_sizes(), np.sqrt((right - left) * (bottom - top))
    )
    splits = {split: rows.tolist() for split, rows in faces.splits.items()}
    assert splits == dict(train=[2, 0, 5, 1], test=[4, 3], test_frontal=[4, 3])


def test_what_is_missing_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no list .*list.mat"):
        read_aflw_list(tmp_path / "list.mat")
    with pytest.raises(FileNotFoundError, match="no AFLWinfo_release.mat in .*annotat"):
        find_aflw_list(tmp_path)
    with pytest.raises(FileNotFoundError, match="none of the 6 images .*image00002"):
        find_image_folder(tmp_path, list(AFLW_NAMES))


def fields_without(name):
    return {key: value for key, value in aflw_fields().items() if key != name}


def fields_with(name, index, value):
    fields = aflw_fields()
    fields[name] = fields[name].astype(float)
    fields[name][index] = value
    return fields


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (fields_without("ra"), "no ra in it"),
        (dict(aflw_fields(), data=np.zeros((6, 42))), r"data has shape \(6, 42\)"),
        (dict(aflw_fields(), bbox=np.zeros((5, 4))), r"bbox has shape \(5, 4\)"),
        (fields_with("ra", (0, 0), 2), "expected each of 1 to 6 once"),
        (
            fields_with("data", (3, 7), np.nan),
            "landmark 7 .* of face 4, 0/image00013.jpg, is .*nan",
        ),
        (
            fields_with("bbox", (4, 1), 0),
            "face 5, 3/image00032.jpg, has a box without width",
        ),
        (
            dict(aflw_fields(), bbox=aflw_fields()["bbox"] + 100),
            "middle lies outside the box for 6 of 6 faces",
        ),
    ],
    ids=["field", "columns", "rows", "order", "nan", "flat box", "boxes elsewhere"],
)
def test_aflw_list_that_does_not_fit(tmp_path, fields, message):
    path = tmp_path / "AFLWinfo_release.mat"
    savemat(path, fields)
    with pytest.raises(AFLWListError, match=message):
        read_aflw_list(path)


def test_aflw_all_hidden_face(tmp_path):
    fields = aflw_fields()
    fields["mask_new"][2] = 0
    fields["data"][2] = np.nan
    savemat(tmp_path / "list.mat", fields)
    with pytest.raises(AFLWListError, match="face 3, .* has no landmark"):
        read_aflw_list(tmp_path / "list.mat")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"not a Matlab file" * 20, "not a Matlab file that can be read"),
        (
            b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\x89HDF\r\n\x1a\n",
            "format 7.3",
        ),
        (None, "not a Matlab file that can be read"),
    ],
    ids=["text", "7.3", "cut short"],
)
def test_aflw_unreadable_list(tmp_path, content, message):
    path = tmp_path / "AFLWinfo_release.mat"
    savemat(path, aflw_fields(), do_compression=True)
    path.write_bytes(content or path.read_bytes()[:-40])
    with pytest.raises(AFLWListError, match=message):
        read_aflw_list(path)


@pytest.mark.parametrize("field", ["data", "nameList"])
def test_a_field_that_cannot_be_read(tmp_path, field):
    fields = aflw_fields()
    fields[field] = np.full((6, 38), 1j)
    savemat(tmp_path / "list.mat", fields)
    with pytest.raises(AFLWListError, match="not a Matlab file .*ParseError: Complex"):
        read_aflw_list(tmp_path / "list.mat")


def test_a_field_without_numbers(tmp_path):
    savemat(tmp_path / "list.mat", dict(aflw_fields(), ra="one, two, three"))
    with pytest.raises(AFLWListError, match="not a Matlab file that can be read"):
        read_aflw_list(tmp_path / "list.mat")
