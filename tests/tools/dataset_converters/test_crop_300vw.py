"""tools/dataset_converters/crop_300vw.py on a small tree."""

import numpy as np
import pytest

from semamb_mm.formats.pts import read_pts
from semamb_mm.pose.datasets import Face300VWFrameDataset
from tests.trees.videos import landmarks, numbered_frame, write_tree
from tools.dataset_converters import crop_300vw

pytest.importorskip("av", reason="PyAV reads the videos")


@pytest.mark.parametrize("shift", [(0, 0), (-25, -40), (60, 40)])
@pytest.mark.parametrize("size", [48, 144, 300])
def test_landmarks_stay_on_their_pixels(shift, size):
    """A blob at a landmark is where the landmark is; outside the frame is black."""
    frame = np.zeros((120, 160, 3), np.uint8)
    points = np.float32([[40, 40], [104, 76], [72, 60]]) + shift
    y, x = np.mgrid[:120, :160]
    blob = np.exp(-((x - points[2, 0]) ** 2 + (y - points[2, 1]) ** 2) / 50)
    frame[:] = np.round(255 * blob)[..., None]
    image, moved = crop_300vw.crop(frame, points, 0.6, size)
    assert image.shape == (size, size, 3)
    weights = image[..., 0].astype(float)
    rows, columns = np.mgrid[:size, :size]
    centre = [(weights * axis).sum() / weights.sum() for axis in (columns, rows)]
    np.testing.assert_allclose(centre, moved[2], atol=0.05 * size / 48)


def test_faces_are_read_back_and_what_is_there_is_kept(tmp_path, convert, capsys):
    root, out = tmp_path / "300vw", tmp_path / "faces"
    write_tree(root, {"001": 5, "002": 3})
    videos = ("--videos", "001", "002", "--size", "64")
    convert("crop_300vw", root, out, *videos)
    text = capsys.readouterr().out
    assert "8 faces of 2 videos" in text and "grey levels on average" in text
    dataset = Face300VWFrameDataset(str(out), ids=["001", "002"])
    assert len(dataset) == 8
    for index in range(5):
        info = dataset.get_data_info(index)
        expected = crop_300vw.crop(
            numbered_frame(index + 1), landmarks(index + 1), 0.6, 64
        )
        np.testing.assert_allclose(info["keypoints"][0], expected[1], atol=2e-3)
    first = out / "001/imgs/000001.jpg"
    before = first.read_bytes(), first.stat().st_mtime_ns
    (out / "001/annot/000003.pts").unlink()  # stopped before it was written
    (out / "001/imgs/.unfinished-1-000003.jpg").write_bytes(b"half")
    convert("crop_300vw", root, out, *videos)
    assert (first.read_bytes(), first.stat().st_mtime_ns) == before
    assert not list(out.rglob(".unfinished-*"))
    assert read_pts(out / "001/annot/000003.pts").shape == (68, 2)


def test_a_networks_input_is_nearly_the_same(tmp_path, convert, monkeypatch):
    write_tree(tmp_path, {"001": 3})
    arguments = ["crop", str(tmp_path), "out", "--size", "448"]
    monkeypatch.setattr("sys.argv", arguments)
    figures = crop_300vw.compare(tmp_path, "001", crop_300vw.parse_args())
    grey, moved = figures["differences"]
    assert grey < 3 and moved < 0.01


def test_bad_videos_are_named_and_the_others_done(tmp_path, convert, capsys):
    root = write_tree(tmp_path / "300vw", {"001": 3, "002": 3})
    (root / "002/vid.avi").write_text("not a video")
    with pytest.raises(SystemExit, match="1 bad videos"):
        convert("crop_300vw", root, tmp_path / "out", "--videos", "001", "002")
    text = capsys.readouterr().out
    assert "3 faces of 1 videos" in text and "bad: 002: " in text
    with pytest.raises(SystemExit, match="name another folder"):
        convert("crop_300vw", root, root)
