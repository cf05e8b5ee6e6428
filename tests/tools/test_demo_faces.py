"""tools/demo_faces.py as a user calls it."""

import csv
import json
import os

import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS

from semamb_mm.pictures.landmarks import landmark_legend
from tests.small_detector import ghcu_model  # noqa: F401
from tools import demo_faces


@pytest.fixture(scope="module")
def demo():
    return demo_faces


@pytest.fixture
def call(demo, ghcu_model, tmp_path, capsys):  # noqa: F811
    def run(source, *options):
        out = tmp_path / "out"
        demo.main([*ghcu_model, str(source), "--out-dir", str(out), *options])
        with open(out / "landmarks.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        return out, rows, capsys.readouterr()

    return run


@pytest.fixture(scope="module")
def pictures():
    dataset = DATASETS.build(
        dict(type="SyntheticFaceDataset", num_samples=4, image_size=64)
    )
    return [dataset.get_data_info(i)["img"] for i in range(4)]


def write_video(path, pictures):
    sink = cv2.VideoWriter(
        str(path), cv2.VideoWriter_fourcc(*"MJPG"), 25, pictures[0].shape[1::-1]
    )
    for picture in pictures:
        sink.write(picture)
    sink.release()
    return path


def test_an_image(call, pictures, tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), pictures[0])
    out, rows, _ = call(tmp_path / "a.jpg")
    drawn = cv2.imread(str(out / "a_landmarks.png"))
    # Ten times as large, so that 68 dots leave something of the face; the legend below.
    picture, legend = drawn[:640], drawn[640:]
    assert pictures[0].shape == (64, 64, 3) and picture.shape == (640, 640, 3)
    np.testing.assert_array_equal(legend, landmark_legend(640, refined=True))
    small = cv2.resize(picture, (64, 64), interpolation=cv2.INTER_AREA)
    assert np.median(np.abs(small.astype(int) - pictures[0])) < 10
    assert len(rows) == 68 and {row["source"] for row in rows} == {"a.jpg"}
    for row in rows:  # the threshold is 0.5
        assert float(row["confidence"]) > 0 or row["corrected"] == "1"
        assert (row["corrected"] == "1") == (float(row["confidence"]) < 0.5)
    assert np.isfinite([float(row["x"]) for row in rows]).all()


def test_a_folder_skips_and_counts_what_it_cannot_read(call, pictures, tmp_path):
    folder = tmp_path / "faces"
    (folder / "sub").mkdir(parents=True)
    for name in ("a.jpg", "a.png", "sub/a.jpg"):
        cv2.imwrite(str(folder / name), pictures[0])
    (folder / "empty.jpg").touch()
    out, rows, said = call(folder)
    drawn = [p.relative_to(out).as_posix() for p in sorted(out.rglob("*.png"))]
    assert drawn == [f"{name}_landmarks.png" for name in ("a.jpg", "a.png", "sub/a")]
    assert {row["source"] for row in rows} == {"a.jpg", "a.png", "sub/a.jpg"}
    assert "3 drawn, 1 skipped" in said.out and "empty.jpg" in said.err


def test_pictures_of_the_demo_itself_are_left_out(call, pictures, tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), pictures[0])
    for _ in range(2):
        _, rows, _ = call(tmp_path)
        assert {row["source"] for row in rows} == {"a.jpg"}


def test_boxes(call, pictures, tmp_path):
    cv2.imwrite(str(tmp_path / "a.jpg"), pictures[0])
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"a.jpg": [[5, 5, 60, 60], [-10, 0, 40, 40]]}))
    _, rows, _ = call(tmp_path / "a.jpg", "--boxes", str(boxes))
    assert {row["face"] for row in rows} == {"0", "1"}
    for bad, message in (
        ([100, 5, 160, 60], "a.jpg: face box .* outside the image of 64 x 64"),
        ([30, 5, 10, 60], "is empty"),
        ([1, 2, 3], "expected .x1, y1, x2, y2."),
    ):
        boxes.write_text(json.dumps({"a.jpg": bad}))
        with pytest.raises(SystemExit, match=message):
            call(tmp_path / "a.jpg", "--boxes", str(boxes))
    boxes.write_text(json.dumps({"b.jpg": [0, 0, 9, 9]}))
    with pytest.raises(SystemExit, match="a.jpg is not in --boxes"):
        call(tmp_path / "a.jpg", "--boxes", str(boxes))


def test_a_video(call, pictures, tmp_path):
    video = write_video(tmp_path / "v.avi", pictures)
    out, rows, said = call(video)
    assert [row["source"] for row in rows[::68]] == [f"v.avi:{n}" for n in (1, 2, 3, 4)]
    capture = cv2.VideoCapture(str(out / "v_landmarks.mp4"))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 4
    assert "4 drawn, 0 skipped" in said.out
    _, rows, said = call(video, "--max-frames", "2")
    assert len(rows) == 2 * 68 and "missing" not in said.err


def surer_nearer(demo, monkeypatch, face):
    """Finds ``face``'s corners everywhere, the surer the nearer the box is to it."""
    seen = []

    def find(model, image, boxes):
        seen.append(boxes[0].tolist())
        corners = np.float32([face[:2], face[2:]])[None]
        off = np.abs(boxes - face).sum()
        return corners, np.full((1, 2), 1 / (1 + off)), np.zeros((1, 2), bool)

    monkeypatch.setattr(demo, "find", find)
    return seen


def finder(demo, *options):
    return demo.FaceFinder(demo.parse_args(["config", "checkpoint", "v", *options]))


def test_the_first_frame_has_the_faces_box(demo, pictures, monkeypatch):
    face, whole = [10, 12, 40, 44], [0, 0, 64, 64]
    seen = surer_nearer(demo, monkeypatch, face)
    tracker = demo.Tracker(None, finder(demo))
    boxes, _ = tracker(pictures[0], "v")
    assert boxes.tolist() == [face] and seen == [whole, face, face]
    boxes, _ = tracker(pictures[1], "v")
    assert boxes.tolist() == [face] and seen[3:] == [face]


def test_the_whole_image_if_asked(demo, pictures, monkeypatch):
    seen = surer_nearer(demo, monkeypatch, [10, 12, 40, 44])
    boxes, _ = demo.locate(None, finder(demo, "--whole-image"), pictures[0], "a")
    assert boxes.tolist() == seen == [[0, 0, 64, 64]]


@pytest.mark.parametrize("face", [[-9, -9, -1, -1], [0, 0, 64, 64]])
def test_a_first_pass_that_does_not_help_counts_for_nothing(
    demo, pictures, monkeypatch, face
):
    surer_nearer(demo, monkeypatch, face)
    boxes, _ = demo.locate(None, finder(demo), pictures[0], "a")
    assert boxes.tolist() == [[0, 0, 64, 64]]


def test_a_video_whose_box_does_not_fit_leaves_nothing(call, pictures, tmp_path):
    video = write_video(tmp_path / "v.avi", [*pictures[:2], pictures[2][:9, :9]])
    boxes = tmp_path / "boxes.json"
    boxes.write_text(json.dumps({"v.avi": [100, 5, 160, 60]}))
    with pytest.raises(SystemExit, match="outside the image of 64 x 64"):
        call(video, "--boxes", str(boxes))
    assert list((tmp_path / "out").iterdir()) == []


def test_frames_without_a_face_are_counted(demo, call, pictures, tmp_path, monkeypatch):
    find = demo.FaceFinder.__call__

    def blind(self, image, name):
        if image.mean() < 10:
            raise demo.NoFaceError(f"{name}: no face found")
        return find(self, image, name)

    monkeypatch.setattr(demo.FaceFinder, "__call__", blind)
    # A face of which the next frame knows nothing is looked for anew.
    monkeypatch.setattr(demo, "LOST", 2)
    dark = np.zeros_like(pictures[0])
    video = write_video(tmp_path / "v.avi", [dark, *pictures[:2], dark])
    _, rows, said = call(video)
    assert len(rows) == 2 * 68
    assert "frame 1 skipped" in said.err and "2 drawn, 2 skipped" in said.out
    video = write_video(tmp_path / "dark.avi", [dark] * 2)
    with pytest.raises(SystemExit, match="1"):
        call(video)


def test_a_video_that_ends_early_says_so(call, pictures, tmp_path):
    video = write_video(tmp_path / "v.avi", [*pictures, *pictures])
    frames = video.read_bytes()
    cut = tmp_path / "cut.avi"
    # Without its index the file still promises eight frames.
    cut.write_bytes(frames[: len(frames) * 6 // 10])
    _, rows, said = call(cut)
    drawn = len(rows) // 68
    assert 1 <= drawn < 8
    assert f"ends after {drawn} frames, 8 were expected" in said.err


@pytest.mark.parametrize("name", ["v.avi", "a.jpg"])
def test_what_is_no_picture_and_no_video_is_named(call, tmp_path, name):
    (tmp_path / name).write_bytes(os.urandom(2000))
    with pytest.raises(SystemExit, match=f"{name}.* OpenCV can read"):
        call(tmp_path / name)


def test_sources_that_do_not_exist(call, tmp_path):
    with pytest.raises(SystemExit, match="missing.jpg does not exist"):
        call(tmp_path / "missing.jpg")
    with pytest.raises(SystemExit, match="97: no video that OpenCV can read"):
        call("97")
    (tmp_path / "none").mkdir()
    with pytest.raises(SystemExit, match="holds no images"):
        call(tmp_path / "none")
    with pytest.raises(SystemExit, match="--face-detector .* does not exist"):
        call(tmp_path / "none", "--face-detector", "nothing.onnx")
