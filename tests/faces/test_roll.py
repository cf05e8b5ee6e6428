import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from semamb_mm.faces.roll import face_roll
from semamb_mm.synthetic.annotators import NOISE_PRESETS, displace
from semamb_mm.synthetic.faces import true_keypoints


def flip_indices(name="300w"):
    path = f"configs/_base_/datasets/{name}.py"
    return np.array(parse_pose_metainfo(dict(from_file=path))["flip_indices"])


FLIP = flip_indices()


def rotate(points, degrees, center=(80, 80)):
    """Clockwise on the screen, y pointing down."""
    angle = np.radians(degrees)
    matrix = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return (points - center) @ np.transpose(matrix) + center


def difference(one, other):
    return (one - other + 180) % 360 - 180


def symmetric_face(name):
    """Landmarks of an upright face: the lower index of each pair is on the left."""
    flip = flip_indices(name)
    rng = np.random.default_rng(0)
    points = rng.uniform((10, 0), (50, 100), (len(flip), 2))
    for k, mirrored in enumerate(flip):
        if mirrored == k:
            points[k, 0] = 0
        elif mirrored > k:
            points[mirrored] = points[k]
            points[k, 0] *= -1
    return points, flip


@pytest.mark.parametrize("name", ["300w", "300vw", "aflw", "cofw", "wflw"])
@pytest.mark.parametrize("degrees", [0, 35, -80, 170])
def test_symmetric_face_in_each_mark_up(name, degrees):
    points, flip = symmetric_face(name)
    assert face_roll(rotate(points, degrees), flip) == pytest.approx(degrees)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.floats(-179, 179), st.floats(0.1, 10))
def test_turns_with_the_face_whatever_its_size(index, degrees, scale):
    face = true_keypoints(0, index)
    turned = rotate(face * scale, degrees) + (30, -7)
    change = difference(face_roll(turned, FLIP), face_roll(face, FLIP))
    assert difference(change, degrees) == pytest.approx(0, abs=1e-4)


def test_annotators_and_poor_detectors_errors_cost_few_degrees():
    rng = np.random.default_rng(0)

    def between_eyes(points):
        right, left = points[36:42].mean(0), points[42:48].mean(0)
        return np.degrees(np.arctan2(*(left - right)[::-1]))

    annotated, detected, eyes = [], [], []
    for index in range(100):
        face = rotate(true_keypoints(0, index), rng.uniform(-60, 60))
        truth = face_roll(face, FLIP)
        noisy = displace(face, rng, NOISE_PRESETS["heavy"])
        annotated.append(difference(face_roll(noisy, FLIP), truth))
        unit = np.linalg.norm(face[36] - face[45])
        noisy = face + rng.normal(0, 0.05 * unit, face.shape)
        detected.append(difference(face_roll(noisy, FLIP), truth))
        eyes.append(difference(between_eyes(noisy), between_eyes(face)))
    assert np.abs(annotated).max() < 1.5  # degrees
    assert np.std(detected) < 2.5
    assert np.std(detected) < 0.9 * np.std(eyes)


def test_hidden_landmarks_do_not_count():
    face = rotate(true_keypoints(0, 1), 20)
    visible = np.ones(68)
    visible[17:20] = 0
    spoilt = face.copy()
    spoilt[17:20] = np.nan
    remaining = face_roll(spoilt, FLIP, visible)
    assert remaining == face_roll(face, FLIP, visible)
    assert abs(difference(remaining, face_roll(face, FLIP))) < 5
    assert face_roll(face, FLIP, np.arange(68) < 22) == 0  # no pair is left


def test_full_profile_is_left_alone():
    points, flip = symmetric_face("300w")
    assert face_roll(points * (0.01, 1), flip) == 0
    assert face_roll(rotate(points * (0.2, 1), 30), flip) == pytest.approx(30)


def test_wrong_mark_up():
    with pytest.raises(ValueError, match="66 landmarks, but flip_indices has 68"):
        face_roll(np.zeros((66, 2)), FLIP)
    with pytest.raises(ValueError, match="pairs no landmarks"):
        face_roll(np.zeros((3, 2)), [0, 1, 2])
