import numpy as np
import pytest

from semamb_mm.faces.landmarks import PARTS_68
from semamb_mm.synthetic.shape import (
    Expression,
    Shape,
    contour_landmarks,
    draw_expression,
    draw_identity,
    forehead_curve,
    jaw_curve,
    lid_curves,
    lip_landmarks,
    mirrored,
    nose_landmarks,
)

NEUTRAL = Expression(smile=0, opening=0, raised=0, lids=1, gaze=np.zeros(2))


@pytest.fixture(params=range(5))
def identity(request):
    return draw_identity(np.random.default_rng(request.param))


def test_identities_vary_within_bounds():
    faces = np.array([draw_identity(np.random.default_rng(i)) for i in range(300)])
    assert (faces.std(0) > 0).all()
    middle, reach = faces.mean(0), 6 * faces.std(0)
    assert (np.abs(faces - middle) < reach).all()


def test_expressions_keep_to_their_ranges():
    drawn = [draw_expression(np.random.default_rng(i)) for i in range(300)]
    openings = [face.opening for face in drawn]
    assert min(openings) == 0 and max(openings) <= 0.65
    assert all(-0.3 <= face.smile <= 1 for face in drawn)
    closed = np.mean([face.lids < 0.3 for face in drawn])
    assert 0.02 < closed < 0.15


def test_a_given_expression_leaves_the_person():
    drawn = Shape(np.random.default_rng(3))
    given = Shape(np.random.default_rng(3), NEUTRAL)
    assert given.identity == drawn.identity
    assert given.expression is NEUTRAL
    np.testing.assert_array_equal(given.forehead, drawn.forehead)


def test_contour_divides_the_jaw_evenly(identity):
    jaw = jaw_curve(identity, NEUTRAL)
    contour = contour_landmarks(jaw)
    np.testing.assert_allclose(contour[[0, 16]], jaw[[0, -1]])
    np.testing.assert_allclose(contour[8, 0], 0, atol=1e-9)
    steps = np.linalg.norm(np.diff(contour, axis=0), axis=1)
    assert np.ptp(steps) < 0.1 * steps.mean()


def test_forehead_closes_the_jaw(identity):
    jaw, forehead = jaw_curve(identity, NEUTRAL), forehead_curve(identity)
    assert np.linalg.norm(forehead[0] - jaw[-1]) < 0.2
    assert np.linalg.norm(forehead[-1] - jaw[0]) < 0.2
    assert forehead[:, 1].min() < jaw[:, 1].min()


def test_an_open_mouth_lowers_jaw_and_lower_lip(identity):
    wide = NEUTRAL._replace(opening=0.5)
    chins = [jaw_curve(identity, face)[80, 1] for face in (NEUTRAL, wide)]
    assert chins[1] == pytest.approx(chins[0] + 0.375)
    closed, opened = (lip_landmarks(identity, face)[1] for face in (NEUTRAL, wide))
    assert closed[6, 1] - closed[2, 1] == pytest.approx(0.03)
    assert opened[6, 1] - opened[2, 1] == pytest.approx(0.53)


def test_a_smile_lifts_and_widens_the_corners(identity):
    still, smiling = (
        lip_landmarks(identity, NEUTRAL._replace(smile=smile))[0] for smile in (0, 1)
    )
    assert smiling[6, 0] > still[6, 0] and smiling[6, 1] < still[6, 1]


def test_lips_are_their_own_mirror_image(identity):
    outer, inner = lip_landmarks(identity, NEUTRAL._replace(smile=0.4))
    assert len(outer) == len(PARTS_68["outer_lips"].landmarks)
    assert len(inner) == len(PARTS_68["inner_lips"].landmarks)
    for lips, half in ((outer, 6), (inner, 4)):
        order = (half - np.arange(2 * half)) % (2 * half)
        np.testing.assert_allclose(mirrored(lips)[order], lips, atol=1e-12)


@pytest.mark.parametrize("lids", [0.1, 0.8])
def test_lids_meet_in_the_corners(identity, lids):
    upper, lower = lid_curves(identity, NEUTRAL._replace(lids=lids))
    np.testing.assert_allclose(upper[[0, -1]], lower[[0, -1]], atol=1e-9)
    height = (lower - upper)[20, 1]
    usual = identity.eye_up + identity.eye_low
    assert 0 < height < (0.6 if lids < 0.3 else 1) * usual


def test_nose_hangs_below_its_bridge(identity):
    bridge, base = nose_landmarks(identity)
    assert (np.diff(bridge[:, 1]) > 0).all()
    assert base[:, 1].min() > bridge[-1, 1]
    np.testing.assert_allclose(mirrored(base)[::-1], base)
