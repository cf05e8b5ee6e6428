"""tools/dataset_converters/convert_300w.py on small trees, read back by MMPose."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from tests.trees.faces import face_68, write_300w, write_pts_by_hand

FIXTURES = Path(os.environ.get("SEMAMB_SHARED", "absent")) / "data/mmpose_fixtures"
needs_fixtures = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="SEMAMB_SHARED does not hold MMPose's test images"
)


@pytest.mark.parametrize(
    ("below", "rename"),
    [
        ("", str),
        ("images", str),
        ("images", str.upper),
        ("", lambda part: part.replace("set", "")),
    ],
    ids=["plain", "images", "capitals", "train and test"],
)
def test_300w_is_read_by_mmpose(tmp_path, convert, below, rename, load):
    write_300w(tmp_path / below, rename)
    convert("convert_300w", tmp_path, workers=2)
    for split, count in (
        ("train", 7),
        ("valid", 5),
        ("valid_common", 3),
        ("valid_challenge", 2),
    ):
        dataset = load(
            "Face300WDataset", tmp_path, f"face_landmarks_300w_{split}.json", below
        )
        assert len(dataset) == count
        for info in map(dataset.get_data_info, range(count)):
            assert Path(info["img_path"]).is_file()
            number = int(Path(info["img_path"]).stem[-4:])
            np.testing.assert_array_equal(
                info["keypoints"][0], face_68(number).astype(np.float32)
            )
            assert (info["keypoints_visible"] == 1).all()
            low, high = info["bbox"][0].reshape(2, 2)
            points = info["keypoints"][0]
            # A square, with room for the landmarks along its longer side.
            assert high[0] - low[0] == pytest.approx(high[1] - low[1], rel=1e-5)
            np.testing.assert_allclose(
                (low + high) / 2, (points.min(0) + points.max(0)) / 2, atol=1
            )


@needs_fixtures
def test_300w_boxes_are_those_of_mmposes_file(tmp_path, convert):
    reference = json.loads((FIXTURES / "300w" / "test_300w.json").read_text())
    names = {image["id"]: image["file_name"] for image in reference["images"]}
    ibug = tmp_path / "ibug"
    ibug.mkdir()
    for annotation in reference["annotations"]:
        name = names[annotation["image_id"]]
        (ibug / name).write_bytes((FIXTURES / "300w" / name).read_bytes())
        points = np.reshape(annotation["keypoints"], (-1, 3))[:, :2]
        write_pts_by_hand((ibug / name).with_suffix(".pts"), points)
    convert("convert_300w", tmp_path, "--splits", "valid_challenge")
    path = tmp_path / "annotations" / "face_landmarks_300w_valid_challenge.json"
    content = json.loads(path.read_text())
    ours = {image["id"]: image["file_name"] for image in content["images"]}
    for ann in content["annotations"]:
        (theirs,) = (
            a
            for a in reference["annotations"]
            if f"ibug/{names[a['image_id']]}" == ours[ann["image_id"]]
        )
        for field in ("keypoints", "bbox", "center", "scale", "area"):
            np.testing.assert_allclose(ann[field], theirs[field], atol=1e-2)
        for field in ("num_keypoints", "iscrowd", "category_id"):
            assert ann[field] == theirs[field]
    assert {(i["width"], i["height"]) for i in content["images"]} == {
        (i["width"], i["height"]) for i in reference["images"]
    }


def test_300w_names_every_bad_face(tmp_path, convert, capsys, load):
    write_300w(tmp_path)
    trainset = tmp_path / "helen" / "trainset"
    (trainset / "image_0001.pts").unlink()
    write_pts_by_hand(trainset / "image_0002.pts", face_68(2)[:67])
    nan = (tmp_path / "afw" / "image_0001.pts").read_text().split("\n")
    nan[5] = "nan nan"
    (tmp_path / "afw" / "image_0001.pts").write_text("\n".join(nan))
    short = trainset / "image_0003.jpg"
    short.write_bytes(short.read_bytes()[:-300])
    (tmp_path / "ibug" / "image_0002.jpg").unlink()
    with pytest.raises(SystemExit, match="5 bad faces, nothing written"):
        convert("convert_300w", tmp_path)
    out = capsys.readouterr().out
    for words in (
        f"no annotation {trainset}/image_0001.pts",
        f"{trainset}/image_0002.pts, line",
        f"{tmp_path}/afw/image_0001.pts, line 6: 'nan nan'",
        f"{short}: the image cannot be read in full",
        f"no image {tmp_path}/ibug/image_0002",
    ):
        assert words in out
    assert not (tmp_path / "annotations").exists()

    convert("convert_300w", tmp_path, "--skip-bad")
    dataset = load("Face300WDataset", tmp_path, "face_landmarks_300w_train.json")
    assert len(dataset) == 3


def test_300w_missing_folder_is_named(tmp_path, convert, written):
    write_300w(tmp_path, lambda part: "helen" if "helen" in part else part)
    with pytest.raises(SystemExit, match=r"no folder .*helen/trainset.*2,000 faces"):
        convert("convert_300w", tmp_path)
    convert("convert_300w", tmp_path, "--splits", "valid_challenge")
    assert written(tmp_path) == ["face_landmarks_300w_valid_challenge.json"]


def test_300w_linked_folders(tmp_path, convert, load):
    write_300w(tmp_path / "elsewhere")
    root = tmp_path / "300w"
    root.mkdir()
    (root / "ibug").symlink_to(tmp_path / "elsewhere" / "ibug")
    convert("convert_300w", root, "--splits", "valid_challenge")
    dataset = load("Face300WDataset", root, "face_landmarks_300w_valid_challenge.json")
    assert dataset.get_data_info(0)["img_path"] == f"{root}/ibug/image_0001.jpg"


def test_300w_mirrored_copies_and_origin(tmp_path, convert, capsys, load):
    write_300w(tmp_path)
    for suffix in (".jpg", ".pts"):
        source = tmp_path / "ibug" / f"image_0001{suffix}"
        copy = source.with_name(f"image_0001_mirror{suffix}")
        copy.write_bytes(source.read_bytes())
    convert("convert_300w", tmp_path, "--splits", "valid_challenge", "--origin", 1)
    assert "ibug: 2 faces where 135 are expected" in capsys.readouterr().out
    dataset = load(
        "Face300WDataset", tmp_path, "face_landmarks_300w_valid_challenge.json"
    )
    assert len(dataset) == 2
    np.testing.assert_allclose(
        dataset.get_data_info(0)["keypoints"][0], face_68(1) - 1, atol=1e-4
    )


def test_help(convert, capsys):
    with pytest.raises(SystemExit) as stopped:
        convert("convert_300w", "--help")
    assert stopped.value.code == 0
    assert "the data set's folder" in capsys.readouterr().out
