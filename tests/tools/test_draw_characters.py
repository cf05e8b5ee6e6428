"""tools/draw_characters.py as a user calls it."""

import cv2

from .processes import run


def test_draw_characters(characters, tmp_path):
    images = sorted(characters.glob("*/*/*/*.png"))
    assert len(images) == (4 + 3) * 2 * 20
    drawings = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in images]
    assert all(drawing.shape == (105, 105) for drawing in drawings)
    assert all(0.005 < (drawing < 128).mean() < 0.4 for drawing in drawings)
    tool = "tools/draw_characters.py"
    assert run(tool, tmp_path / "again", "--characters", 2).returncode == 0
    again = sorted((tmp_path / "again").glob("*/*/*/*.png"))
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(images, again))
    refused = run(tool, characters)
    assert refused.returncode == 1 and "exists" in refused.stderr
