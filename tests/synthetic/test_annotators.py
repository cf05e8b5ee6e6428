from dataclasses import replace

import numpy as np
import pytest

from semamb_mm.faces.curves import LandmarkCurve
from semamb_mm.faces.landmarks import GROUPS_68, PARTS_68
from semamb_mm.synthetic.annotators import (
    NOISE_PRESETS,
    AnnotationNoise,
    displace,
    get_noise,
)
from semamb_mm.synthetic.faces import annotate

CONTOUR, BROWS, STRONG = (
    np.array(GROUPS_68[name]) for name in ("contour", "brows", "strong")
)
NOSE_BRIDGE = np.array(PARTS_68["nose_bridge"].landmarks)


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
    # "One landmark in 200", says the demo.
    assert NOISE_PRESETS["slips"] == replace(realistic, gross=1 / 200)


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
