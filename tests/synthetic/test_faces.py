import cv2
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from semamb_mm.faces.landmarks import GROUPS_68
from semamb_mm.synthetic.annotators import (
    NOISE_PRESETS,
    displace,
)
from semamb_mm.synthetic.canvas import Canvas, ellipse
from semamb_mm.synthetic.develop import develop
from semamb_mm.synthetic.faces import render_face, true_keypoints
from semamb_mm.synthetic.shape import Shape

BROWS, STRONG = (np.array(GROUPS_68[name]) for name in ("brows", "strong"))
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)


def test_same_numbers_same_face():
    first, second = render_face(1, 2), render_face(1, 2)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(first.keypoints, true_keypoints(1, 2))
    for seed, index in ((1, 3), (2, 2), (2, 1)):
        assert not np.allclose(first.keypoints, render_face(seed, index).keypoints)


def test_shapes_and_layout(faces):
    for face in faces:
        assert face.image.shape == (160, 160, 3)
        assert face.image.dtype == np.uint8
        assert face.image.std() > 5
        assert face.keypoints.shape == (68, 2)
        assert face.keypoints.dtype == np.float32
        assert (face.keypoints > 0).all() and (face.keypoints < 159).all()
        np.testing.assert_allclose(np.linalg.norm(face.tangents, axis=1), 1, atol=1e-5)
        # 300W's order: viewer's left before right, brows above eyes above mouth
        points = face.keypoints
        across = points[45] - points[36]
        down = np.array([-across[1], across[0]])
        assert (points[16] - points[0]) @ across > 0
        assert (points[26] - points[17]) @ across > 0
        assert (points[54] - points[48]) @ across > 0
        heights = [points[part].mean(0) @ down for part in (BROWS, RIGHT_EYE, STRONG)]
        assert heights == sorted(heights)
        assert points[8] @ down > points[57] @ down


def test_left_and_right_are_those_of_mmpose():
    """The shape is its own mirror image under the 300W flip pairs."""
    metainfo = parse_pose_metainfo(dict(from_file="configs/_base_/datasets/300w.py"))
    for seed in range(5):
        points = Shape(np.random.default_rng(seed)).landmarks
        mirrored = points[metainfo["flip_indices"]] * (-1, 1, 1)
        np.testing.assert_allclose(mirrored, points, atol=1e-12)


@pytest.mark.parametrize("image_size", [64, 256])
def test_other_sizes(image_size):
    face = render_face(0, 0, image_size)
    assert face.image.shape[:2] == (image_size, image_size)
    assert (face.keypoints > 0).all() and (face.keypoints < image_size - 1).all()


def test_pixel_centres_are_integers():
    for centre in ([40.0, 30.0], [40.3, 30.75], [41.5, 29.1]):
        canvas = Canvas(80)
        canvas.fill(ellipse(np.array(centre), (9.0, 6.0)), np.full(3, 255.0))
        small = cv2.resize(canvas.pixels, (80, 80), interpolation=cv2.INTER_AREA)
        mass = small[..., 0].astype(float)
        rows, columns = np.mgrid[:80, :80]
        found = np.array([(columns * mass).sum(), (rows * mass).sum()]) / mass.sum()
        np.testing.assert_allclose(found, centre, atol=0.03)


def test_photograph_does_not_move_the_face():
    canvas = Canvas(80)
    centre = np.array([40.3, 30.75])
    canvas.fill(ellipse(centre, (9.0, 6.0)), np.full(3, 200.0))
    rows, columns = np.mgrid[:80, :80]
    found = []
    for seed in range(10):
        image = develop(np.random.default_rng(seed), canvas.pixels, 80)
        mass = np.where(image[..., 0] > 60, image[..., 0].astype(float), 0)
        found.append([(columns * mass).sum(), (rows * mass).sum()] / mass.sum())
    np.testing.assert_allclose(np.mean(found, 0), centre, atol=0.05)


def test_eyes_are_where_the_landmarks_say():
    """Eyes stand out from the skin around them, at the landmarks and not beside."""
    contrast = {0: [], 9: [], -9: []}
    for index in range(20):
        face = render_face(11, index, occlusion=0.0)
        grey = cv2.cvtColor(face.image, cv2.COLOR_BGR2GRAY)
        edges = np.hypot(cv2.Sobel(grey, 5, 1, 0), cv2.Sobel(grey, 5, 0, 1))
        for shift, values in contrast.items():
            at = np.round(face.keypoints[36:48] + (0, shift)).astype(int)
            values.append(edges[at[:, 1], at[:, 0]].mean())
    assert np.mean(contrast[0]) > 2 * np.mean(contrast[9])
    assert np.mean(contrast[0]) > 1.5 * np.mean(contrast[-9])


def test_occlusion_share_and_marks():
    clear = [render_face(7, index, occlusion=0.0) for index in range(20)]
    hidden = [render_face(7, index, occlusion=1.0) for index in range(20)]
    assert not any(face.occluded.any() for face in clear)
    assert sum(face.occluded.any() for face in hidden) >= 15
    for one, other in zip(clear, hidden, strict=True):
        np.testing.assert_array_equal(one.keypoints, other.keypoints)
        at = np.round(one.keypoints).astype(int)
        change = np.abs(one.image.astype(int) - other.image).max(-1)[at[:, 1], at[:, 0]]
        assert np.median(change[~other.occluded]) == 0


# the annotator


def test_truth_is_a_function_of_the_face_alone():
    """The annotator's numbers depend on the landmarks and his own seed only."""
    truth = true_keypoints(0, 0)
    noise = NOISE_PRESETS["heavy"]
    first = displace(truth, np.random.default_rng(1), noise)
    np.testing.assert_array_equal(
        first, displace(truth, np.random.default_rng(1), noise)
    )
    assert not np.allclose(first, displace(truth, np.random.default_rng(2), noise))
