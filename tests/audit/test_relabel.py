"""New labels beside untouched data."""

import json

import numpy as np
import pytest

from semamb_mm.audit.relabel import (
    relabel_coco,
    relabel_drawn,
    relabel_pts,
    relabel_samples,
)
from semamb_mm.formats.pts import read_pts
from semamb_mm.pose.datasets import Face300VWFrameDataset, Face300VWVideoDataset
from tests.trees.videos import extract, landmarks, write_tree


def test_coco_annotations_are_relabelled(tmp_path):
    annotations = [
        dict(id=i, image_id=i, keypoints=[1.0, 2.0, 1, 3.0, 4.0, 0]) for i in (4, 5)
    ]
    source = tmp_path / "faces.json"
    source.write_text(json.dumps(dict(images=[], annotations=annotations)))
    before = source.read_bytes()
    labels = np.array([[[9.5, 8.5], [np.nan, np.nan]]])
    relabel_coco(str(source), [5], labels, tmp_path / "out")
    written = json.loads((tmp_path / "out/faces.json").read_text())["annotations"]
    assert written[0] == annotations[0]
    assert written[1]["keypoints"] == [9.5, 8.5, 1, 3.0, 4.0, 0]
    assert source.read_bytes() == before


def test_landmarks_in_several_fields_are_relabelled(tmp_path):
    """As COCO-WholeBody has them."""
    sizes = dict(
        keypoints=17, foot_kpts=6, face_kpts=68, lefthand_kpts=21, righthand_kpts=21
    )
    fields = {name: [5, 6, 2] * size for name, size in sizes.items()}
    source = tmp_path / "bodies.json"
    source.write_text(json.dumps(dict(images=[], annotations=[dict(fields, id=3)])))
    labels = np.full((1, 133, 2), np.nan)
    labels[0, 23] = 7.25, 8
    relabel_coco(source, [3], labels, tmp_path / "out")
    (written,) = json.loads((tmp_path / "out/bodies.json").read_text())["annotations"]
    assert written["face_kpts"][:3] == [7.25, 8, 2]
    written["face_kpts"][:2] = 5, 6
    assert written == dict(fields, id=3)
    with pytest.raises(ValueError, match="annotation 3 does not hold 20 keypoints"):
        relabel_coco(source, [3], labels[:, :20], tmp_path / "out")


@pytest.mark.parametrize("origin", [0, 1])
def test_a_pts_file_stands_beside_a_link_to_its_image(tmp_path, origin):
    image = tmp_path / "data/images/a.png"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"picture")
    points = np.array([[1.0, 2.0], [3.5, 4.25]])
    for _ in range(2):  # a second audit replaces the first one's
        relabel_pts(image, tmp_path / "data", points, tmp_path / "new", origin)
    assert (tmp_path / "new/images/a.png").read_bytes() == b"picture"
    written = read_pts(tmp_path / "new/images/a.pts", 2, origin)
    np.testing.assert_allclose(written, points, atol=1e-3)
    assert sorted(p.name for p in image.parent.iterdir()) == ["a.png"]


def test_labels_of_drawn_images_get_a_folder(tmp_path):
    relabel_drawn("synthetic/0/000001", np.ones((2, 2)), tmp_path / "out/relabelled")
    (written,) = (tmp_path / "out/relabelled").iterdir()
    assert written.name == "synthetic_0_000001.pts"
    np.testing.assert_allclose(read_pts(written, 2), 1)


@pytest.mark.parametrize("dataset", [Face300VWVideoDataset, Face300VWFrameDataset])
def test_frames_of_videos_are_relabelled_where_they_are_read(dataset, tmp_path):
    root = write_tree(tmp_path / "data", {"001": 6})
    if dataset is Face300VWFrameDataset:
        extract(root, "001", range(1, 7))
    frames = dataset(str(root), ids=["001"], stride=2)
    infos = [frames.get_data_info(i).copy() for i in range(len(frames))]
    labels = np.concatenate([info["keypoints"] for info in infos]) + 1.0
    samples = [(frames, i) for i in range(len(frames))]
    relabel_samples(infos, samples, labels, tmp_path / "new")
    assert not list((tmp_path / "new").rglob("vid.pts"))
    new = dataset(str(tmp_path / "new"), ids=["001"])
    assert len(new) == 6
    for number in range(1, 7):
        points = new[number - 1]["keypoints"][0]
        np.testing.assert_allclose(points, landmarks(number) + number % 2, atol=1e-2)
        assert new[number - 1]["frame_number"] == number
