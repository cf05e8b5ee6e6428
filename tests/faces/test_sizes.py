import numpy as np
import pytest
import torch

from semamb_mm.faces.sizes import (
    box_size,
    face_norms,
    face_size,
    face_unit,
    longest_side,
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
