import cv2
import numpy as np
import pytest

from semamb_mm.pictures.image_grid import Framed, draw_image_grid


def test_frames_have_their_colours_and_rows_may_be_short(tmp_path):
    grey = np.full((20, 20, 3), 128, np.uint8)
    rows = [
        [Framed(grey, "#ff0000", "own class at 2"), Framed(grey, "#00ff00", "")],
        [Framed(grey, "#0000ff", "0.5")],
    ]
    path = tmp_path / "new" / "grid.png"
    draw_image_grid(path, rows, "query")
    drawn = cv2.imread(str(path))
    height, width = drawn.shape[:2]
    quarters = {
        (row, column): drawn[
            row * height // 2 : (row + 1) * height // 2,
            column * width // 2 : (column + 1) * width // 2,
        ]
        for row in (0, 1)
        for column in (0, 1)
    }
    for place, channel in (((0, 0), 2), ((0, 1), 1), ((1, 0), 0)):
        pure = np.zeros(3)
        pure[channel] = 255
        assert (quarters[place] == pure).all(-1).any(), place
    assert (quarters[1, 1][30:] == 255).all()  # below the frame above it
    assert [p.name for p in path.parent.iterdir()] == ["grid.png"]


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ValueError):
        draw_image_grid(tmp_path / "grid.png", [], "query")
    assert not list(tmp_path.iterdir())
