"""Pictures of observers."""

import cv2
import numpy as np
import pytest

from semamb_mm.pictures.observers import (
    NETWORK,
    colours_of,
    draw_opinions,
    plot_bland_altman,
    plot_observers,
)


def test_the_network_has_a_colour_of_its_own():
    assert colours_of(["a", "b"], False)[1] != NETWORK
    assert colours_of([str(i) for i in range(12)], True)[-1] == NETWORK
    assert NETWORK not in colours_of([str(i) for i in range(12)], False)


@pytest.mark.parametrize("size", [0.0, 1.0])
def test_plots_are_written(tmp_path, size):
    """Also of observers that do not differ at all."""
    rng = np.random.default_rng(0)
    offsets = size * rng.standard_normal((3, 4, 2))
    covariances = size * np.tile(np.eye(2), (3, 4, 1, 1))
    shape = rng.uniform(0, 100, (4, 2))
    path = tmp_path / "observers.png"
    plot_observers(path, ["a", "b", "net"], offsets, covariances, shape, "%", True)
    assert cv2.imread(str(path)).std() > 5
    first = shape + size * rng.standard_normal((9, 4, 2))
    second = shape + size * rng.standard_normal((9, 4, 2))
    second[0, 1] = np.nan
    plot_bland_altman(tmp_path / "pair.png", ("a", "b"), first, second, "%")
    assert cv2.imread(str(tmp_path / "pair.png")).std() > 5


def test_marks_lie_where_they_were_made():
    """A ring and the landmark's number beside the one that is named."""
    image = np.full((80, 100, 3), 40, np.uint8)
    points = np.array([[[20, 20], [70, 60]], [[20, 30], [np.nan, np.nan]]], float)
    drawn = draw_opinions(image, points, ["#ff0000", "#0000ff"], size=300, margin=0.1)
    assert drawn.shape == (300, 300, 3)
    # The extent, 50 pixels, is five sixths of the side; the middle is (45, 40).
    place = np.nan_to_num(((points - (45, 40)) / 60 + 0.5) * 300)
    for (m, k), colour in {(0, 0): (0, 0, 255), (1, 0): (255, 0, 0)}.items():
        x, y = place[m, k].astype(int)
        assert drawn[y, x].tolist() == list(colour)
    ringed = draw_opinions(image, points, ["#ff0000", "#0000ff"], (0, 1), 300, 0.1)
    assert (ringed != drawn).any()
    x, y = place[0, 1].astype(int)
    assert (ringed[y - 12 : y + 13, x - 12 : x + 13] > 150).all(-1).sum() > 20
