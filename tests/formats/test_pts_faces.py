"""Faces found in folders or named by lists, and what one of them must be."""

import numpy as np
import pytest

from semamb_mm.formats.images import BadImageError
from semamb_mm.formats.pts import PtsError, write_pts
from semamb_mm.formats.pts_faces import face_key, find_faces, list_faces, read_face
from tests.trees.faces import SIZE, face_68, write_image


@pytest.fixture
def root(tmp_path):
    """Three faces in two folders."""
    for number, stem in enumerate(("a/1", "a/b/2", "c/3")):
        write_image(tmp_path / f"{stem}.jpg")
        write_pts(tmp_path / f"{stem}.pts", face_68(number))
    return tmp_path


def keys(faces, root):
    return [face_key(face.stem, str(root)) for face in faces]


def test_found_sorted_and_once(root):
    (root / "a" / ".hidden.jpg").touch()
    (root / "a" / "readme.txt").touch()
    found = find_faces([str(root / "c"), str(root), str(root / "a")])
    assert keys(found, root) == ["a/1", "a/b/2", "c/3"]
    chosen = find_faces([str(root)], exclude=["a/b/*", "*3"], root=str(root))
    assert keys(chosen, root) == ["a/1"]
    with pytest.raises(FileNotFoundError, match="absent.*fix data_root"):
        find_faces([str(root / "absent")])


def test_listed_in_order(root):
    path = root / "list.txt"
    path.write_text("# comment\n\nb/2.jpg\n1\nnowhere\n")
    faces = list_faces([str(path)], [str(root / "a"), str(root / "c")])
    assert keys(faces, root) == ["a/b/2", "a/1", "a/nowhere"]
    assert [face.source[-6:] for face in faces] == ["line 3", "line 4", "line 5"]
    with pytest.raises(BadImageError, match="list.txt, line 5: no image .*nowhere"):
        read_face(faces[2])


def test_what_is_read(root):
    keypoints = face_68(0)
    keypoints[3] = (-0.6, 50)
    write_pts(root / "a" / "1.pts", keypoints)
    face = read_face(find_faces([str(root / "a")])[0])
    assert face.image_path == str(root / "a" / "1.jpg") and face.size == SIZE
    np.testing.assert_allclose(face.keypoints, keypoints, atol=1e-3)
    assert np.flatnonzero(~face.visible).tolist() == [3]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda k: k * 0 + 5, "the landmarks span 0 x 0 px"),
        (lambda k: np.concatenate([[[9000, 50]], k[1:]]), "landmark 0 .*9000, 50"),
        (lambda k: k * [0.5, 1] - [51, 0], "all landmarks lie outside"),
    ],
    ids=["flat", "stray", "outside"],
)
def test_landmarks_that_do_not_fit(root, change, message):
    write_pts(root / "a" / "1.pts", change(face_68(0)))
    with pytest.raises(PtsError, match=message):
        read_face(find_faces([str(root / "a")])[0])


def test_missing_and_surplus_files(root):
    (root / "c" / "3.pts").unlink()
    write_image(root / "a" / "1.png")
    first, _, third = find_faces([str(root)])
    with pytest.raises(BadImageError, match="2 images share .*'1.jpg', '1.png'"):
        read_face(first)
    with pytest.raises(PtsError, match="no annotation .*3.pts"):
        read_face(third)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("# none\n", ValueError, "list.txt: an empty list"),
        (
            "a/1\na/1.pts\n",
            ValueError,
            "line 2: 'a/1.pts' is already named by .*line 1",
        ),
        ("same\n", ValueError, "line 1: 'same' is in several folders"),
        (b"\xff\xd8", ValueError, "list.txt: not a text file .*byte 0"),
        (None, FileNotFoundError, "no list file .*list.txt'; fix ann_file"),
    ],
    ids=["empty", "twice", "several folders", "no text", "absent"],
)
def test_bad_lists(root, text, error, message):
    for folder in ("a", "c"):
        write_image(root / folder / "same.jpg")
    path = root / "list.txt"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    folders = [str(root), str(root / "a"), str(root / "c")]
    with pytest.raises(error, match=message):
        list_faces([str(path)], folders)
