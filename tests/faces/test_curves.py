import numpy as np
import pytest

from semamb_mm.faces.curves import LandmarkCurve, landmark_curves
from semamb_mm.faces.landmarks import PARTS_68, WEAK_PARTS_68


def test_curve_passes_through_its_landmarks_and_is_smooth():
    angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    circle = 50 * np.stack([np.cos(angle), np.sin(angle)], 1)
    curve = LandmarkCurve(circle, closed=True)
    np.testing.assert_allclose(curve.at(curve.landmark_arc), circle, atol=1e-9)
    assert curve.arc[-1] == pytest.approx(2 * np.pi * 50, rel=1e-3)
    np.testing.assert_allclose(np.linalg.norm(curve.dense, axis=1), 50, atol=0.02)
    np.testing.assert_allclose(
        curve.at(curve.landmark_arc + curve.arc[-1]), circle, atol=1e-6
    )
    expected = np.stack([-np.sin(angle), np.cos(angle)], 1)
    np.testing.assert_allclose(curve.tangent(curve.landmark_arc), expected, atol=0.01)


def test_open_curves_go_on_straight_beyond_their_ends():
    line = np.stack([np.arange(5.0), np.zeros(5)], 1)
    curve = LandmarkCurve(line, closed=False)
    np.testing.assert_allclose(
        curve.at(np.array([-2.0, 2.5, 7])), [[-2, 0], [2.5, 0], [7, 0]]
    )
    np.testing.assert_allclose(curve.tangent(np.array([0.0, 4.0])), [[1, 0], [1, 0]])


def test_curves_of_a_face_are_those_of_its_parts():
    face = np.random.default_rng(0).normal(size=(68, 2))
    for (part, curve), expected in zip(landmark_curves(face), PARTS_68.values()):
        assert part == expected.span and curve.closed == expected.closed
        np.testing.assert_allclose(curve.at(curve.landmark_arc), face[part], atol=1e-9)
    weak = [part for part, _ in landmark_curves(face, WEAK_PARTS_68)]
    assert (weak[0].start, weak[-1].stop, len(weak)) == (0, 31, 4)
