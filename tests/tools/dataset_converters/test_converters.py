"""tools/dataset_converters on small trees, read back by MMPose's own data sets."""

import importlib
import json
import os
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS, METRICS
from scipy.io import savemat

from semamb_mm.formats import aflw_list
from semamb_mm.formats import videos as video_frames
from semamb_mm.formats.aflw_list import AFLWListError, read_aflw_list
from semamb_mm.formats.face_json import write_face_json
from tests.trees.faces import (
    AFLW_NAMES,
    AFLW_TRAIN,
    SIZE,
    aflw_fields,
    face_68,
    write_300vw_frames,
    write_300w,
    write_aflw,
    write_pts_by_hand,
)
from tests.trees.videos import landmarks, read_number, write_tree

FIXTURES = Path(os.environ.get("SEMAMB_SHARED", "absent")) / "data/mmpose_fixtures"
needs_fixtures = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="SEMAMB_SHARED does not hold MMPose's test images"
)


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    init_default_scope("mmpose")
    monkeypatch.setattr(aflw_list, "NUM_TRAIN", AFLW_TRAIN)


@pytest.fixture
def convert(monkeypatch):
    """``convert(tool, *arguments)`` as from the command line."""

    def run(name, *arguments, workers=1):
        module = importlib.import_module(f"tools.dataset_converters.{name}")
        command = [name, *map(str, arguments), "--workers", str(workers)]
        monkeypatch.setattr(sys, "argv", command)
        module.main()

    return run


def load(kind, root, ann_file, prefix="", pipeline=(), **arguments):
    return DATASETS.build(
        dict(
            type=kind,
            data_root=str(root),
            ann_file=f"annotations/{ann_file}",
            data_prefix=dict(img=prefix),
            pipeline=list(pipeline),
            **arguments,
        )
    )


def written(root):
    return sorted(path.name for path in (root / "annotations").glob("*"))


# 300W


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
def test_300w_is_read_by_mmpose(tmp_path, convert, below, rename):
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


def test_300w_names_every_bad_face(tmp_path, convert, capsys):
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


def test_300w_missing_folder_is_named(tmp_path, convert):
    write_300w(tmp_path, lambda part: "helen" if "helen" in part else part)
    with pytest.raises(SystemExit, match=r"no folder .*helen/trainset.*2,000 faces"):
        convert("convert_300w", tmp_path)
    convert("convert_300w", tmp_path, "--splits", "valid_challenge")
    assert written(tmp_path) == ["face_landmarks_300w_valid_challenge.json"]


def test_300w_linked_folders(tmp_path, convert):
    write_300w(tmp_path / "elsewhere")
    root = tmp_path / "300w"
    root.mkdir()
    (root / "ibug").symlink_to(tmp_path / "elsewhere" / "ibug")
    convert("convert_300w", root, "--splits", "valid_challenge")
    dataset = load("Face300WDataset", root, "face_landmarks_300w_valid_challenge.json")
    assert dataset.get_data_info(0)["img_path"] == f"{root}/ibug/image_0001.jpg"


def test_300w_mirrored_copies_and_origin(tmp_path, convert, capsys):
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


def test_json_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "faces.json"
    path.write_text("old")
    with pytest.raises(RuntimeError), write_face_json(path) as add:
        add(1, "a.jpg", SIZE, face_68(1), np.array([50, 50]), 60.0)
        raise RuntimeError("killed")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


# 300-VW


def test_300vw_frames_are_extracted_and_read_by_mmpose(tmp_path, convert):
    pytest.importorskip("av", reason="PyAV reads the videos")
    write_tree(tmp_path, {"001": 7, "410": 5})
    convert("extract_300vw", tmp_path, "--videos", "001", "410", "--format", "png")
    assert written(tmp_path) == [
        "face_landmarks_300vw_category3.json",
        "face_landmarks_300vw_train.json",
    ]
    dataset = load("Face300VWDataset", tmp_path, "face_landmarks_300vw_train.json")
    assert len(dataset) == 7
    for number, info in enumerate(map(dataset.get_data_info, range(7)), start=1):
        assert info["img_path"] == f"{tmp_path}/001/imgs/{number:06d}.png"
        assert read_number(cv2.imread(info["img_path"])) == number
        np.testing.assert_allclose(info["keypoints"][0], landmarks(number), atol=1e-3)


def test_300vw_goes_on_where_it_stopped(tmp_path, convert):
    pytest.importorskip("av", reason="PyAV reads the videos")
    write_tree(tmp_path, {"001": 9})
    imgs = tmp_path / "001" / "imgs"
    arguments = (tmp_path, "--videos", "001")
    convert("extract_300vw", *arguments)
    before = {path.name: path.read_bytes() for path in imgs.iterdir()}
    assert len(before) == 9
    kept = imgs / "000002.jpg"
    stamp = kept.stat().st_mtime_ns
    for number in (1, 5, 9):
        (imgs / f"{number:06d}.jpg").unlink()
    (imgs / ".unfinished-1-000005.jpg").write_bytes(b"half")
    convert("extract_300vw", *arguments)
    assert {path.name: path.read_bytes() for path in imgs.iterdir()} == before
    assert kept.stat().st_mtime_ns == stamp


def test_300vw_bad_videos_are_named_and_the_others_done(tmp_path, convert, capsys):
    pytest.importorskip("av", reason="PyAV reads the videos")
    write_tree(tmp_path, {"001": 6, "002": 6, "410": 4})
    (tmp_path / "001" / "annot" / "000006.pts").unlink()
    (tmp_path / "002" / "vid.avi").write_bytes(b"RIFF")
    (tmp_path / "003").mkdir()
    arguments = (tmp_path, "--videos", "001", "002", "003", "410")
    with pytest.raises(SystemExit, match="300vw: 3 problems"):
        convert("extract_300vw", *arguments, workers=2)
    out = capsys.readouterr().out
    assert f"{tmp_path}/001/vid.avi: 6 frames can be decoded" in out
    assert "there are 5 .pts files, up to 000005.pts" in out
    assert f"{tmp_path}/002/vid.avi: " in out
    assert f"{tmp_path}/003: no folder annot" in out
    assert written(tmp_path) == ["face_landmarks_300vw_category3.json"]

    convert("extract_300vw", tmp_path, "--videos", "001", "--on-mismatch", "skip")
    dataset = load("Face300VWDataset", tmp_path, "face_landmarks_300vw_train.json")
    assert len(dataset) == 5


def test_300vw_extracted_frames_need_no_video(tmp_path, convert, capsys):
    write_300vw_frames(tmp_path, ["401"], num_frames=2)
    convert("extract_300vw", tmp_path, "--videos", "401")
    name = "face_landmarks_300vw_category1.json"
    assert len(load("Face300VWDataset", tmp_path, name)) == 2

    pts = tmp_path / "401" / "annot" / "000002.pts"
    write_pts_by_hand(pts, face_68(1)[:60])
    with pytest.raises(SystemExit, match="300vw: 1 problems"):
        convert("extract_300vw", tmp_path, "--videos", "401")
    assert f"{pts}, line 64: 60 landmarks" in capsys.readouterr().out


def test_300vw_lost_frames_need_the_video(tmp_path, convert, capsys, monkeypatch):
    write_300vw_frames(tmp_path, ["001"], num_frames=3)
    (tmp_path / "001" / "imgs" / "000002.png").unlink()
    monkeypatch.setattr(video_frames, "av", None)
    with pytest.raises(SystemExit, match="300vw: 1 problems"):
        convert("extract_300vw", tmp_path, "--videos", "001")
    assert "reading videos needs PyAV" in capsys.readouterr().out

    monkeypatch.undo()
    pytest.importorskip("av", reason="PyAV looks for the video")
    with pytest.raises(SystemExit, match="300vw: 1 problems"):
        convert("extract_300vw", tmp_path, "--videos", "001")
    assert "001/vid.avi: no such video" in capsys.readouterr().out


@needs_fixtures
def test_300vw_annotations_are_those_of_mmposes_file(tmp_path, convert):
    for path in (FIXTURES / "300vw").rglob("*.*"):
        copy = tmp_path / path.relative_to(FIXTURES / "300vw")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    convert("extract_300vw", tmp_path, "--videos", "001", "401")
    reference = json.loads((tmp_path / "anno_300vw.json").read_text())
    ours = {}
    for name in written(tmp_path):
        content = json.loads((tmp_path / "annotations" / name).read_text())
        for image, annotation in zip(content["images"], content["annotations"]):
            ours[image["file_name"]] = (image, annotation)
    # Frame 731 of video 401 is on the list of broken ones.
    assert len(ours) == len(reference["images"]) == 3
    for image, annotation in zip(reference["images"], reference["annotations"]):
        our_image, our_annotation = ours[image["file_name"]]
        for field in ("width", "height"):
            assert our_image[field] == image[field]
        for field in ("keypoints", "center", "scale"):
            np.testing.assert_allclose(
                our_annotation[field], annotation[field], atol=1e-3
            )


def test_300vw_other_videos_are_refused(tmp_path, convert):
    with pytest.raises(SystemExit, match="none of .*999.* is in the splits"):
        convert("extract_300vw", tmp_path, "--videos", "999")


# AFLW


def test_aflw_is_read_by_mmpose(tmp_path, convert):
    write_aflw(tmp_path)
    convert("convert_aflw", tmp_path, workers=2)
    fields = aflw_fields()
    rows = {"train": [2, 0, 5, 1], "test": [4, 3], "test_frontal": [4, 3]}
    for split, expected in rows.items():
        name = f"face_landmarks_aflw_{split}.json"
        dataset = load("AFLWDataset", tmp_path, name, test_mode=True)
        infos = {
            info["id"]: info for info in map(dataset.get_data_info, range(len(dataset)))
        }
        assert sorted(infos) == sorted(row + 1 for row in expected)
        for row in expected:
            info = infos[row + 1]
            assert info["img_path"] == f"{tmp_path}/data/flickr/{AFLW_NAMES[row]}"
            x, y = np.split(fields["data"][row], 2)
            np.testing.assert_allclose(
                info["keypoints"][0], np.stack([x, y], 1), atol=1e-4
            )
            left, right, top, bottom = fields["bbox"][row]
            np.testing.assert_allclose(
                info["bbox"][0], [left, top, right, bottom], atol=1e-3
            )
            assert info["box_size"] == pytest.approx(right - left)
    visible = {
        info["id"]: info["keypoints_visible"][0]
        for info in load("AFLWDataset", tmp_path, "face_landmarks_aflw_train.json")
    }
    # The hidden landmark counts, the one without a label does not.
    assert visible[6].all()
    assert visible[2].tolist() == [0] + [1] * 18


def test_aflw_nme_is_divided_by_the_face_size(tmp_path, convert):
    """The whole way: list, json, MMPose's data set and packing, FaceNME."""
    fields = aflw_fields()
    fields["bbox"][:, 3] += 15  # not square
    write_aflw(tmp_path, **fields)
    convert("convert_aflw", tmp_path)
    pipeline = [
        dict(type="LoadImage"),
        dict(type="GetBBoxCenterScale"),
        dict(type="TopdownAffine", input_size=(64, 64)),
        dict(type="PackPoseInputs"),
    ]
    dataset = load(
        "AFLWDataset",
        tmp_path,
        "face_landmarks_aflw_test.json",
        pipeline=pipeline,
        test_mode=True,
    )
    metric = METRICS.build(dict(type="FaceNME", norms=("bbox_size",), box="annotation"))
    shift = 3.0
    expected = []
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        truth = sample.gt_instances
        prediction = dict(keypoints=truth.keypoints + [shift, 0])
        metric.process(
            None,
            [
                dict(
                    gt_instances=truth.to_dict(),
                    pred_instances=prediction,
                    img_path=sample.img_path,
                )
            ],
        )
        left, right, top, bottom = fields["bbox"][sample.metainfo["id"] - 1]
        expected.append(shift / np.sqrt((right - left) * (bottom - top)))
    figures = metric.evaluate(len(dataset))
    assert figures["NME/bbox_size"] == pytest.approx(np.mean(expected), rel=1e-5)


def test_aflw_missing_and_damaged_images_are_named(tmp_path, convert, capsys):
    write_aflw(tmp_path)
    flickr = tmp_path / "data" / "flickr"
    (flickr / "0" / "image00002.jpg").unlink()
    short = flickr / "2" / "image00004.jpg"
    short.write_bytes(short.read_bytes()[:-300])
    with pytest.raises(SystemExit, match="aflw: 2 bad images, nothing written"):
        convert("convert_aflw", tmp_path)
    out = capsys.readouterr().out
    assert f"bad: {flickr}/0/image00002.jpg: " in out
    assert f"bad: {short}: the image cannot be read in full" in out
    assert not (tmp_path / "annotations").exists()
    convert("convert_aflw", tmp_path, "--skip-bad")
    dataset = load("AFLWDataset", tmp_path, "face_landmarks_aflw_train.json")
    assert len(dataset) == 1


def test_aflw_without_list_or_images(tmp_path, convert):
    with pytest.raises(SystemExit, match="no AFLWinfo_release.mat in"):
        convert("convert_aflw", tmp_path)
    savemat(tmp_path / "AFLWinfo_release.mat", aflw_fields())
    with pytest.raises(SystemExit, match="none of the 5 images that the list names"):
        convert("convert_aflw", tmp_path)


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


@pytest.mark.parametrize("tool", ["convert_300w", "convert_aflw", "extract_300vw"])
def test_help(tool, convert, capsys):
    with pytest.raises(SystemExit) as stopped:
        convert(tool, "--help")
    assert stopped.value.code == 0
    assert "the data set's folder" in capsys.readouterr().out
