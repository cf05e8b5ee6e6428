"""300W's folders and their faces."""

import numpy as np
import pytest

from semamb_mm.formats.images import BadImageError
from semamb_mm.formats.layout_300w import (
    PARTS,
    SPLITS,
    find_part,
    image_root,
    part_faces,
    read_whole_face,
)
from semamb_mm.formats.pts import PtsError
from tests.trees import faces as tree
from tests.trees.faces import SIZE, face_68, write_300w, write_image, write_pts_by_hand


def test_the_splits_are_the_papers():
    sizes = {split: sum(PARTS[p] for p in parts) for split, parts in SPLITS.items()}
    assert sizes == dict(train=3148, valid_common=554, valid_challenge=135, valid=689)


@pytest.mark.parametrize("below", ["", "images"])
def test_parts_under_their_other_names(tmp_path, below):
    root = tmp_path / below
    write_300w(root, lambda part: part.replace("set", "").upper())
    assert image_root(tmp_path) == root
    assert find_part(tmp_path, "helen/trainset") == root / "HELEN" / "TRAIN"
    for part, count in tree.PARTS.items():
        files = part_faces(tmp_path, part)
        assert [face.stem[-4:] for face in files] == [
            f"{number:04d}" for number in range(1, count + 1)
        ]
    face = read_whole_face(part_faces(tmp_path, "ibug")[1], origin=1)
    assert face.size == SIZE and face.visible.all()
    np.testing.assert_allclose(face.keypoints, face_68(2) - 1, atol=1e-4)


def test_mirrored_copies_are_left_out(tmp_path):
    write_300w(tmp_path)
    write_image(tmp_path / "afw" / "image_0001_mirror.jpg")
    assert len(part_faces(tmp_path, "afw")) == tree.PARTS["afw"]


def test_a_missing_part_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"helen, for .*330 faces"):
        find_part(tmp_path, "helen/testset")


def test_faces_that_are_not_whole(tmp_path):
    write_300w(tmp_path)
    first, second = part_faces(tmp_path, "ibug")
    image = tmp_path / "ibug" / "image_0001.jpg"
    image.write_bytes(image.read_bytes()[:-300])
    with pytest.raises(BadImageError, match="image_0001.jpg: .* in full"):
        read_whole_face(first)
    write_pts_by_hand(tmp_path / "ibug" / "image_0002.pts", face_68(2)[:67])
    with pytest.raises(PtsError, match="67 landmarks in the file; expected 68"):
        read_whole_face(second)
