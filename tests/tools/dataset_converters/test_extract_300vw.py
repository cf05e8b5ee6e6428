"""tools/dataset_converters/extract_300vw.py on small trees, read back by MMPose."""

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from semamb_mm.formats import videos as video_frames
from tests.trees.faces import face_68, write_300vw_frames, write_pts_by_hand
from tests.trees.videos import landmarks, read_number, write_tree

FIXTURES = Path(os.environ.get("SEMAMB_SHARED", "absent")) / "data/mmpose_fixtures"
needs_fixtures = pytest.mark.skipif(
    not FIXTURES.is_dir(), reason="SEMAMB_SHARED does not hold MMPose's test images"
)


def test_300vw_frames_are_extracted_and_read_by_mmpose(
    tmp_path, convert, load, written
):
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


def test_300vw_bad_videos_are_named_and_the_others_done(
    tmp_path, convert, capsys, load, written
):
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


def test_300vw_extracted_frames_need_no_video(tmp_path, convert, capsys, load):
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
def test_300vw_annotations_are_those_of_mmposes_file(tmp_path, convert, written):
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


def test_help(convert, capsys):
    with pytest.raises(SystemExit) as stopped:
        convert("extract_300vw", "--help")
    assert stopped.value.code == 0
    assert "the data set's folder" in capsys.readouterr().out
