"""MMPose's json files of faces."""

import json

import numpy as np
import pytest

from semamb_mm.formats.face_json import (
    tight_square,
    whole_pixel_square,
    write_face_json,
)
from tests.trees.faces import SIZE, face_68


def test_squares():
    keypoints = np.array([[10.2, 20.6], [30.7, 50.1]])
    center, side = whole_pixel_square(keypoints)
    np.testing.assert_allclose(center, [20.5, 35.5])
    assert side == 31
    center, side = tight_square(keypoints)
    np.testing.assert_allclose(center, [20.45, 35.35])
    assert side == 30


def test_fields_of_a_face(tmp_path):
    path = tmp_path / "faces.json"
    keypoints = np.array([[10.0, 20.0], [30.0, 60.00004], [0.0, 0.0]])
    with write_face_json(path) as add:
        add(7, "a.jpg", (64, 48), keypoints, [20, 40], 50.0, [2, 1, 0], box_size=9.0)
    content = json.loads(path.read_text())
    assert content["images"] == [dict(id=7, file_name="a.jpg", height=48, width=64)]
    (face,) = content["annotations"]
    assert face["keypoints"] == [10, 20, 2, 30, 60, 1, 0, 0, 0]
    assert face["num_keypoints"] == 2 and face["image_id"] == face["id"] == 7
    # A tenth of the labelled landmarks' extent is added on each side.
    assert face["bbox"] == [8, 16, 24, 48] and face["area"] == 24 * 48
    assert face["center"] == [20, 40] and face["scale"] == 0.25
    assert face["box_size"] == 9
    assert content["categories"][0]["name"] == "face"


def test_a_file_of_several_faces_and_of_none(tmp_path):
    path = tmp_path / "faces.json"
    for count in (3, 0):
        with write_face_json(path) as add:
            for number in range(count):
                add(number, f"{number}.jpg", SIZE, face_68(number), [50, 50], 60.0)
        content = json.loads(path.read_text())
        assert [image["id"] for image in content["images"]] == list(range(count))
        assert [face["id"] for face in content["annotations"]] == list(range(count))


def test_json_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "faces.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), write_face_json(path) as add:
        add(1, "a.jpg", SIZE, face_68(1), np.array([50, 50]), 60.0)
        raise RuntimeError("killed")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
