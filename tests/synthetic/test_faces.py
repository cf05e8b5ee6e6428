import cv2
import numpy as np
import pytest
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from semamb_mm.faces.curves import LandmarkCurve
from semamb_mm.faces.landmarks import GROUPS_68, PARTS_68
from semamb_mm.synthetic.annotators import (
    NOISE_PRESETS,
    AnnotationNoise,
    displace,
    get_noise,
)
from semamb_mm.synthetic.canvas import Canvas, ellipse
from semamb_mm.synthetic.develop import develop
from semamb_mm.synthetic.faces import annotate, render_face, true_keypoints
from semamb_mm.synthetic.shape import Shape

CONTOUR, BROWS, STRONG = (
    np.array(GROUPS_68[name]) for name in ("contour", "brows", "strong")
)
NOSE_BRIDGE = np.array(PARTS_68["nose_bridge"].landmarks)
RIGHT_EYE, LEFT_EYE = slice(36, 42), slice(42, 48)


@pytest.fixture(scope="module")
def faces():
    return [render_face(seed=5, index=index) for index in range(24)]


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


def test_no_noise_is_the_truth(faces):
    annotation = annotate(faces[0], np.random.default_rng(0), NOISE_PRESETS["none"])
    np.testing.assert_array_equal(annotation, faces[0].keypoints)


def split(faces, noise, repeats):
    """Errors along and across the tangents, (faces * repeats, 68), in eye distances."""
    along, across = [], []
    rng = np.random.default_rng(0)
    for face in faces:
        unit = np.linalg.norm(face.keypoints[45] - face.keypoints[36])
        for _ in range(repeats):
            error = (annotate(face, rng, noise) - face.keypoints) / unit
            along.append((error * face.tangents).sum(1))
            across.append(error @ [[0, 1], [-1, 0]])
            across[-1] = (across[-1] * face.tangents).sum(1)
    return np.array(along), np.array(across)


@pytest.mark.parametrize("name", ["realistic", "heavy"])
def test_noise_is_as_stated(faces, name):
    noise = NOISE_PRESETS[name]
    along, across = split(faces, noise, repeats=80)
    inner = np.concatenate([BROWS, NOSE_BRIDGE])
    contour_total = np.sqrt((along**2 + across**2)[:, CONTOUR].mean())
    stated = np.hypot(noise.contour_along, noise.contour_across)
    assert contour_total == pytest.approx(stated, rel=0.05)
    # the jaw bends, so a slide along it is not all along the tangent
    assert np.sqrt((along[:, CONTOUR[2:6]] ** 2).mean()) == pytest.approx(
        noise.contour_along, rel=0.05
    )
    brow_total = np.sqrt((along**2 + across**2)[:, BROWS].mean())
    stated = np.hypot(noise.brow_along, noise.inner_across)
    assert brow_total == pytest.approx(stated, rel=0.05)
    assert along[:, NOSE_BRIDGE].std() == pytest.approx(noise.bridge_along, rel=0.05)
    assert across[:, NOSE_BRIDGE].std() == pytest.approx(noise.inner_across, rel=0.05)
    for error in (along, across):
        assert error[:, STRONG].std() == pytest.approx(noise.strong, rel=0.05)
    # zero mean, within five standard errors for independent landmarks
    for part, std in ((inner, noise.brow_along), (STRONG, noise.strong)):
        spread = np.hypot(std, noise.inner_across) / np.sqrt(len(along))
        assert np.abs(along[:, part].mean(0)).max() < 5 * spread
    spread = noise.contour_along / np.sqrt(len(along))
    assert np.abs(along[:, CONTOUR].mean()) < 5 * spread


def test_presets_are_what_the_documents_say():
    realistic, heavy = NOISE_PRESETS["realistic"], NOISE_PRESETS["heavy"]
    total = np.hypot(realistic.contour_along, realistic.contour_across)
    assert total == pytest.approx(0.04, abs=0.001)
    for along in (realistic.brow_along, realistic.bridge_along):
        assert 0.015 <= np.hypot(along, realistic.inner_across) <= 0.02
    assert realistic.strong * np.sqrt(2) == pytest.approx(0.007, abs=1e-4)
    assert heavy.contour_along == 2 * realistic.contour_along
    assert heavy.strong == realistic.strong


def test_contour_slides_partly_together(faces):
    along, _ = split(faces, AnnotationNoise(contour_along=0.02, shared=0.4), 60)
    correlation = np.corrcoef(along[:, CONTOUR].T)[np.triu_indices(17, 1)]
    assert correlation.mean() == pytest.approx(0.4, abs=0.05)
    assert correlation.min() > 0.25


def test_gross_errors_are_as_many_and_as_far_as_stated(faces):
    noise = AnnotationNoise(gross=0.05)
    errors = []
    for face in faces:
        rng = np.random.default_rng(len(errors))
        error = np.linalg.norm(annotate(face, rng, noise) - face.keypoints, axis=1)
        errors.append(error / np.linalg.norm(face.keypoints[45] - face.keypoints[36]))
    errors = np.array(errors)
    wrong = errors > 0
    share, deviation = 0.05, np.sqrt(0.05 * 0.95 / errors.size)
    assert wrong.mean() == pytest.approx(share, abs=4 * deviation)
    assert 0.2 <= errors[wrong].min() < 0.25 and 0.45 < errors[wrong].max() <= 0.5
    # the other errors are those of the annotator without gross ones
    gross, realistic = (
        displace(faces[0].keypoints, np.random.default_rng(0), NOISE_PRESETS[name])
        for name in ("gross", "realistic")
    )
    same = (gross == realistic).all(-1)
    assert 0.8 < same.mean() < 1


def test_slides_stay_on_the_contour(faces):
    rng = np.random.default_rng(3)
    for face in faces[:8]:
        moved = annotate(face, rng, AnnotationNoise(contour_along=0.08))[CONTOUR]
        curve = LandmarkCurve(face.keypoints[CONTOUR], closed=False)
        # the curve is continued straight beyond its ends
        beyond = curve.at(np.array([-40.0, 0, curve.arc[-1], curve.arc[-1] + 40]))
        line = np.concatenate(
            [np.linspace(*beyond[:2], 400), curve.dense, np.linspace(*beyond[2:], 400)]
        )
        distance = np.linalg.norm(moved[:, None] - line[None], axis=2).min(1)
        assert distance.max() < 0.2  # half the distance of the dense points
        assert np.linalg.norm(moved - face.keypoints[CONTOUR], axis=1).max() > 1


def test_truth_is_a_function_of_the_face_alone():
    """The annotator's numbers depend on the landmarks and his own seed only."""
    truth = true_keypoints(0, 0)
    noise = NOISE_PRESETS["heavy"]
    first = displace(truth, np.random.default_rng(1), noise)
    np.testing.assert_array_equal(
        first, displace(truth, np.random.default_rng(1), noise)
    )
    assert not np.allclose(first, displace(truth, np.random.default_rng(2), noise))


def test_noise_by_name_dict_or_itself():
    assert get_noise("heavy") is NOISE_PRESETS["heavy"]
    assert get_noise(dict(strong=0.01)) == AnnotationNoise(strong=0.01)
    assert get_noise(AnnotationNoise(strong=0.01)) == AnnotationNoise(strong=0.01)
    with pytest.raises(ValueError, match="'loud'.*'heavy'"):
        get_noise("loud")
    with pytest.raises(ValueError, match=r"\['jaw'\].*contour_along"):
        get_noise(dict(jaw=1))
    with pytest.raises(ValueError, match="strong is -1"):
        AnnotationNoise(strong=-1)
    with pytest.raises(ValueError, match="strong is nan"):
        AnnotationNoise(strong=float("nan"))
    with pytest.raises(ValueError, match="shared is 2"):
        AnnotationNoise(shared=2)
