"""What a person is asked: checked arrays, an order, an identity, names."""

import numpy as np
import pytest

from semamb_mm.audit.review import fingerprint, mark_up, typical_shape
from tests.trees.faces import face_68

from .reviews import review_of

FACES = [face_68(i) for i in range(3)]
KEYS = ["a", "b", "c"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(keys=["a", "b"]), r"keys have shape \(2,\); expected \(3,\)"),
        (dict(keys=["a", "b", "a"]), "two samples alike"),
        (dict(proposals=np.zeros((3, 68))), r"proposals .* expected \(3, 68, 2\)"),
        (dict(annotations=FACES[0], proposals=FACES), r"expected \(N, K, 2\)"),
        (dict(names=["nose"]), "1 names of 68"),
        (dict(annotations=np.full((3, 68, 2), np.nan)), "no landmark is annotated"),
    ],
)
def test_arrays_that_disagree_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        review_of(**{"keys": KEYS, "annotations": FACES, **changes})


def test_a_suspect_must_be_annotated():
    faces = np.array(FACES)
    faces[1, 11] = np.nan
    with pytest.raises(ValueError, match="not annotated"):
        review_of(KEYS, faces)
    faces[1, 11], faces[1, 40] = 0, np.nan  # this one is not asked about
    review_of(KEYS, faces)


def test_the_worst_come_first():
    review = review_of(KEYS, FACES)
    assert review.worst().tolist() == [[i, k] for i in range(3) for k in range(10, 14)]
    assert review.worst(2).tolist() == [[0, 10], [0, 11]]


def test_the_fingerprint_is_that_of_what_is_asked():
    def of(*args, limit=None, **changes):
        review = review_of(*(args or (KEYS, FACES)), **changes)
        return fingerprint(review, review.worst(limit))

    same = of()
    other = np.array(FACES)
    other[0, 40] += 5  # is not asked about
    assert same == of(KEYS, other, proposals=np.array(FACES) + (6, 0))
    other[0, 10] += 0.1
    moved = np.array(FACES) + (6.1, 0)
    prints = {
        same,
        of(KEYS, other, proposals=np.array(FACES) + (6, 0)),
        of(proposals=moved),
        of(proposals=np.full((3, 68, 2), np.nan)),
        of(["a", "b", "d"], FACES),
        of(limit=5),
    }
    assert len(prints) == 6 and all(len(text) == 64 for text in prints)


def test_names_and_lines_come_from_the_data_set():
    meta = dict(
        num_keypoints=3,
        keypoint_id2name={0: "nose", 1: "left_eye", 2: "kpt-2"},
        skeleton_links=[(0, 1)],
    )
    assert mark_up(3, meta) == (["nose", "left eye", ""], [(0, 1)])
    assert mark_up(4, meta) == (["", "", "", ""], [])  # another mark-up's


def test_faces_without_names_get_those_of_their_parts():
    numbered = {k: f"kpt-{k}" for k in range(68)}
    meta = dict(num_keypoints=68, keypoint_id2name=numbered, skeleton_links=[])
    names, links = mark_up(68, meta)
    assert names[0] == "contour 1" and names[47] == "right eye 6"
    assert len(set(names)) == 68
    assert (36, 37) in links and (41, 36) in links  # an eye is closed
    assert (16, 17) not in links and (16, 0) not in links  # the contour is open


def test_the_typical_face_is_whole_and_not_moved_by_one_wrong_label():
    faces = np.array([face_68(0)] * 5) * np.arange(1, 6)[:, None, None]
    faces[1, 3] += 40
    faces[2, 4] = np.nan
    shape = typical_shape(faces)
    face = face_68(0) - (face_68(0).min(0) + face_68(0).max(0)) / 2
    np.testing.assert_allclose(shape, face / np.ptp(face, axis=0).max(), atol=1e-6)


def test_the_typical_body_is_one_of_those_that_show_most():
    rng = np.random.default_rng(0)
    bodies = rng.uniform(0, 100, (4, 17, 2))
    bodies[3] = bodies[:3].mean(0)
    bodies[:3, 2] = np.nan
    shape = typical_shape(bodies)
    body = bodies[3] - (bodies[3].min(0) + bodies[3].max(0)) / 2
    np.testing.assert_allclose(shape, body / np.ptp(body, axis=0).max())
