import numpy as np
import pytest

from semamb_mm.synthetic.camera import Camera
from semamb_mm.synthetic.canvas import Canvas, ellipse
from semamb_mm.synthetic.occluders import paint_occluder
from semamb_mm.synthetic.painter import FacePainter
from semamb_mm.synthetic.shading import shade_skin


@pytest.fixture
def scene():
    return FacePainter(np.random.default_rng(4), 80)


def test_camera_turns_without_scaling():
    points = np.random.default_rng(0).normal(size=(20, 3))
    camera = Camera(np.random.default_rng(1), points, 100)
    np.testing.assert_allclose(
        camera.rotation @ camera.rotation.T, np.eye(3), atol=1e-9
    )
    camera.turn(0, 0, np.pi / 2)
    camera.scale, camera.offset = 10.0, np.array([3.0, 4.0])
    placed = camera.project(np.array([[1.0, 0, 0], [0, 0, 1]]))
    np.testing.assert_allclose(placed, [[3, 14], [3, 4]], atol=1e-9)


def test_masks_are_what_is_filled():
    canvas = Canvas(40)
    outline = ellipse(np.array([20.0, 18.0]), (9.0, 5.0), 0.4)
    canvas.fill(outline, np.full(3, 255.0))
    np.testing.assert_array_equal(canvas.pixels[..., 0], canvas.mask(outline))
    assert canvas.coordinates(np.array([20.0, 18.0])).tolist() == [40.5, 36.5]


def test_blend_paints_by_coverage():
    canvas, layer = Canvas(8), np.full((16, 16, 3), 200, np.uint8)
    mask = np.zeros((16, 16), np.uint8)
    mask[2:5, 3:6], mask[3, 4] = 255, 127
    canvas.blend(layer, mask)
    assert canvas.pixels[2, 3, 0] == 200 and canvas.pixels[3, 4, 0] in (99, 100)
    assert not canvas.pixels[mask == 0].any()


def test_light_comes_from_its_side(scene):
    scene.camera.turn(0, 0, 0)
    scene.light = np.array([0.8, 0.0, 0.6])
    shade_skin(scene, np.random.default_rng(0))
    left, right = scene.keypoints[3], scene.keypoints[13]
    grey = np.full(3, 100.0)
    assert scene.lit(grey, right).sum() > scene.lit(grey, left).sum()
    assert (scene.lit(np.full(3, 250.0), right) <= 255).all()
    assert scene.skin_layer.shape == scene.canvas.pixels.shape


def test_an_occluder_hides_what_it_covers(scene):
    number_hidden = []
    for seed in range(6):
        scene.canvas.pixels[:] = 7
        hidden = paint_occluder(scene, np.random.default_rng(seed))
        changed = (scene.canvas.pixels != 7).any(-1)
        at = np.round(scene.canvas.coordinates(scene.keypoints)).astype(int)
        x, y = np.clip(at, 0, scene.canvas.side - 1).T
        assert hidden.shape == (68,)
        assert changed[y, x][hidden].all()
        assert 0 < changed.mean() < 0.9
        number_hidden.append(hidden.sum())
    assert min(number_hidden) < 68 and max(number_hidden) > 5
