"""tools/draw_characters.py as a user calls it."""

import cv2
import pytest

from tools import draw_characters


def test_draw_characters(characters, tmp_path):
    images = sorted(characters.glob("*/*/*/*.png"))
    assert len(images) == (4 + 3) * 2 * 20
    drawings = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in images]
    assert all(drawing.shape == (105, 105) for drawing in drawings)
    assert all(0.005 < (drawing < 128).mean() < 0.4 for drawing in drawings)
    draw_characters.main([str(tmp_path / "again"), "--characters", "2"])
    again = sorted((tmp_path / "again").glob("*/*/*/*.png"))
    assert len(again) == len(images)
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(images, again))
    with pytest.raises(SystemExit, match="exists"):
        draw_characters.main([str(characters)])
