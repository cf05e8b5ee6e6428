import numpy as np
import pytest

from semamb_mm.faces.shape_models import PCAShapeModel, fit_similarity, nearest_shape


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def turned(shape, angle, scale, shift):
    cos, sin = np.cos(angle), np.sin(angle)
    return scale * shape @ np.array([[cos, sin], [-sin, cos]]) + shift


def family(rng, count, landmarks=12):
    """Shapes of two modes of variation, at any place, size and turn."""
    mean, *modes = rng.normal(size=(3, landmarks, 2))
    shapes = mean + np.tensordot(rng.normal(0, 0.05, (count, 2)), modes, 1)
    return np.stack(
        [
            turned(s, rng.uniform(-0.5, 0.5), rng.uniform(20, 40), rng.uniform(0, 99))
            for s in shapes
        ]
    )


def test_a_similarity_is_found_again(rng):
    shape = rng.normal(size=(9, 2))
    points = turned(shape, 0.7, 12, (5, -3))
    assert np.allclose(fit_similarity(shape, points, rng.random(9) + 0.1), points)


def test_the_fit_is_the_least_squares_one(rng):
    shape, points, weights = *rng.normal(size=(2, 9, 2)), rng.random(9)
    # Rotation and scale as a + ib, and a shift: linear in four unknowns.
    x, y = shape.T
    one, zero = np.ones(9), np.zeros(9)
    rows = np.concatenate(
        [np.stack([x, -y, one, zero], 1), np.stack([y, x, zero, one], 1)]
    )
    root = np.sqrt(np.tile(weights, 2))
    best, *_ = np.linalg.lstsq(rows * root[:, None], points.T.ravel() * root)
    expected = (rows @ best).reshape(2, 9).T
    assert np.allclose(fit_similarity(shape, points, weights), expected)


def test_shapes_are_fitted_in_one_call(rng):
    shapes, points = rng.normal(size=(4, 9, 2)), rng.normal(size=(9, 2))
    weights = np.ones(9)
    together = fit_similarity(shapes, points, weights)
    alone = [fit_similarity(shape, points, weights) for shape in shapes]
    assert np.allclose(together, alone)


def test_a_mirrored_shape_is_not_matched(rng):
    shape = rng.normal(size=(9, 2))
    mirrored = shape * (-1, 1)
    assert not np.allclose(fit_similarity(mirrored, shape, np.ones(9)), shape, atol=0.1)


def test_pca_finds_the_modes_and_restores_a_hidden_landmark(rng):
    shapes = family(rng, 200)
    model = PCAShapeModel.train(shapes[:-20])
    assert len(model.modes) == 2
    assert np.allclose(model.modes @ model.modes.T, np.eye(2), atol=1e-9)
    for shape in shapes[-20:]:
        seen = shape.copy()
        seen[3] += (60, -40)  # found elsewhere, without confidence
        weights = np.ones(12)
        weights[3] = 1e-3
        fitted = model.fit(seen, weights, noise=0.01)
        size = np.ptp(shape, axis=0).max()
        assert np.linalg.norm(fitted[3] - shape[3]) < 0.05 * size


def test_noisy_landmarks_are_drawn_to_the_mean_shape(rng):
    shapes = family(rng, 200)
    model = PCAShapeModel.train(shapes)
    mean = fit_similarity(model.mean, shapes[0], np.ones(12))
    close, far = (
        np.linalg.norm(model.fit(shapes[0], np.ones(12), noise=noise) - mean)
        for noise in (10.0, 0.01)
    )
    assert close < 0.1 * far


def test_the_nearest_shape_goes_by_the_trusted_landmarks(rng):
    shapes = family(rng, 30)
    seen = turned(shapes[7], 0.3, 1.4, (4, 9))
    truth = seen.copy()
    seen[:4] = rng.uniform(0, 200, (4, 2))
    weights = np.ones(12)
    weights[:4] = 1e-6
    assert np.allclose(nearest_shape(shapes, seen, weights), truth, atol=0.01)
