import numpy as np
import pytest
import torch

from semamb_mm.faces.sizes import (
    box_size,
    face_norms,
    face_size,
    face_unit,
    longest_side,
    percent_unit,
    sample_sizes,
)

from . import make_face


def loop_face_size(points, visible):
    sides = []
    for axis in (0, 1):
        seen = [point[axis] for point, see in zip(points, visible) if see]
        sides.append(max(max(seen) - min(seen), 1e-6) if seen else 1e-6)
    return (sides[0] * sides[1]) ** 0.5


def test_face_size_against_a_loop():
    rng = np.random.default_rng(0)
    faces = rng.normal(50, 20, (30, 9, 2))
    visible = rng.random((30, 9)) < 0.3
    visible[:2] = [[False] * 9, [True] + [False] * 8]
    expected = [loop_face_size(*face) for face in zip(faces, visible)]
    np.testing.assert_allclose(face_size(faces, visible), expected, rtol=1e-14)
    assert face_size(faces, visible)[0] == face_size(faces, visible)[1] == 1e-6
    faces[~visible] = np.nan
    np.testing.assert_allclose(face_size(faces, visible), expected, rtol=1e-14)


def test_face_size_is_that_of_training():
    """The size that targets have always been divided by, as torch works it out."""
    rng = np.random.default_rng(1)
    faces, visible = rng.normal(50, 20, (40, 7, 2)), rng.random((40, 7)) < 0.5
    points, hidden = torch.from_numpy(faces), ~torch.from_numpy(visible)[..., None]
    low = points.masked_fill(hidden, float("inf")).amin(1)
    high = points.masked_fill(hidden, float("-inf")).amax(1)
    expected = (high - low).clamp(min=1e-6).prod(-1).sqrt()
    np.testing.assert_allclose(face_size(faces, visible), expected.numpy(), rtol=4e-16)


def test_sizes_of_any_shape_and_type():
    face = np.array([[0, 0], [8, 1], [3, 2]], np.float32)
    assert face_size(face) == 4 and face_size(face).dtype == np.float32
    assert longest_side(face) == 8
    assert longest_side(face, [0, 1, 1]) == 5
    assert face_size(np.stack([[face, 2 * face]])).tolist() == [[4, 8]]
    assert box_size(np.array([[0, 0, 8, 2], [3, 0, 1, 9]])).tolist() == [4, 0]


def test_face_unit():
    faces = np.zeros((2, 68, 2))
    faces[0, 45] = (30, 40)
    assert face_unit(faces).tolist() == [50, 1e-6]
    assert face_unit(faces[:, 40:]).tolist() == pytest.approx(
        [face_size(faces[0]), 1e-6]
    )


def test_a_face_unit_without_an_eye_corner():
    face = make_face()
    faces = np.stack([face, 3 * face, face, face])
    faces[1, 45] = np.nan
    faces[2, 8] = np.nan  # the chin: its eyes are known
    np.testing.assert_allclose(face_unit(faces), [100, 300, 100, 100])
    # What hidden landmarks hold does not count.
    visible = np.isfinite(faces).all(-1)
    filled = np.where(visible[..., None], faces, -1000.0)
    np.testing.assert_allclose(face_unit(filled, visible), [100, 300, 100, 100])
    # Where no face shows both corners, by a usual face.
    (alone,) = face_unit(faces[1:2])
    assert alone == pytest.approx(0.64 * 3 * (120 * 90) ** 0.5)


def test_units_are_called_what_they_are():
    assert percent_unit(68) == "% of the inter-ocular distance"
    assert "inter-ocular" not in percent_unit(17)


def people(few=()):
    """Twenty people of 17 landmarks, 20 to 200 px tall, and their boxes."""
    rng = np.random.default_rng(0)
    shape = rng.random((17, 2)) * [0.4, 1]
    shape[:4] = [0, 0], [0.4, 0], [0, 1], [0.4, 1]
    sizes = np.linspace(20, 200, 20)
    keypoints = shape * sizes[:, None, None] + rng.random((20, 1, 2)) * 500
    visible = np.ones((20, 17), bool)
    for person, landmarks in few:
        visible[person] = False
        visible[person, landmarks] = True
    low, high = keypoints.min(1), keypoints.max(1)
    margin = 0.1 * (high - low)
    return keypoints, visible, np.concatenate([low - margin, high + margin], -1)


def test_sizes_of_samples_that_show_enough_are_their_own():
    keypoints, visible, _ = people()
    np.testing.assert_allclose(sample_sizes(keypoints), face_size(keypoints))
    np.testing.assert_allclose(sample_sizes(keypoints, visible), face_size(keypoints))


@pytest.mark.parametrize("with_boxes", [False, True])
def test_few_landmarks_do_not_tell_a_size(with_boxes):
    """One keypoint, two ankles at one height, nobody."""
    few = [(3, [5]), (7, [15, 16]), (9, [])]
    keypoints, visible, boxes = people(few)
    keypoints[7, [15, 16], 1] = 80
    keypoints[9] = np.nan
    whole, _, _ = people()
    sizes = sample_sizes(keypoints, visible, boxes if with_boxes else None)
    expected = face_size(whole)
    if not with_boxes:
        expected[[3, 7, 9]] = np.median(np.delete(expected, [3, 7, 9]))
    np.testing.assert_allclose(sizes, expected)


def test_only_a_face_of_a_person_in_a_box():
    keypoints, visible, boxes = people([(3, [0, 1, 8, 9, 10])])
    keypoints[3, [0, 1, 8, 9, 10]] = [[1, 1], [2, 1], [1, 2], [2, 2], [1, 1]]
    whole, _, _ = people()
    np.testing.assert_allclose(
        sample_sizes(keypoints, visible, boxes), face_size(whole)
    )


def test_landmarks_in_a_line_and_boxes_without_area():
    line = np.array([[[0, 0], [1, 0], [5, 0], [10.0, 0]]])
    assert sample_sizes(line) == pytest.approx((10 * 0.5) ** 0.5)
    keypoints, visible, boxes = people()
    boxes[4] = 0
    np.testing.assert_allclose(
        sample_sizes(keypoints, visible, boxes), face_size(keypoints)
    )
    # With fewer landmarks than four all must be seen.
    assert sample_sizes(np.array([[[0, 0], [3, 12.0]]])) == 6
    assert sample_sizes(np.full((2, 5, 2), np.nan)).tolist() == [1e-6, 1e-6]


@pytest.mark.parametrize(
    "norm, pixels",
    [
        # pupils: means of x (10 20 30 40 10 10) = 20 and (80 .. 110 110 110) = 100
        ("inter_pupil", 80),
        ("inter_ocular", 100),  # 10 to 110
        ("bbox_size", np.sqrt(120 * 90)),
        ("bbox_diagonal", 150),
    ],
)
def test_norms_by_hand(norm, pixels):
    face = make_face()
    faces = np.stack([face, 3 * face])
    np.testing.assert_allclose(face_norms(faces, norm), [pixels, 3 * pixels])


def test_norms_of_given_boxes():
    boxes = np.array([[10, 10, 13, 14], [5, 5, 2, 9.0]])
    faces = np.stack([make_face()] * 2)
    np.testing.assert_allclose(face_norms(faces, "bbox_diagonal", boxes), [5, 4])
    # an inverted box has no size, and not that of two negative sides
    np.testing.assert_allclose(face_norms(faces, "bbox_size", boxes), [12**0.5, 0])


def test_norms_without_their_landmarks():
    face = make_face()
    face[[40, 8]] = np.nan
    assert np.isnan(face_norms(face[None], "inter_pupil"))
    assert face_norms(face[None], "inter_ocular") == 100
    assert face_norms(face[None], "bbox_diagonal") < 150
    with pytest.raises(ValueError, match="'pupils'.*inter_pupil"):
        face_norms(face[None], "pupils")


def test_norms_of_other_markups():
    faces = np.array([[[0, 0], [3, 4], [6, 8.0]]])
    eyes = dict(inter_ocular=((0,), (2,)), inter_pupil=((0, 1), (2,)))
    assert face_norms(faces, "inter_ocular", eye_indices=eyes) == 10
    assert face_norms(faces, "inter_pupil", eye_indices=eyes) == 7.5
