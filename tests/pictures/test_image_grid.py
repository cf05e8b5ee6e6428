import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from semamb_mm.pictures.image_grid import Framed, draw_image_grid


def test_frames_have_their_colours_and_rows_may_be_short(tmp_path):
    grey = np.full((20, 20, 3), 128, np.uint8)
    rows = [
        [Framed(grey, "#ff0000", "own class at 2"), Framed(grey, "#00ff00", "")],
        [Framed(grey, "#0000ff", "0.5")],
    ]
    path = tmp_path / "new" / "grid.png"
    draw_image_grid(path, rows, "what frames mean", ["query"])
    drawn = cv2.imread(str(path))
    red, green, blue = (
        np.argwhere((drawn == colour).all(-1))
        for colour in ((0, 0, 255), (0, 255, 0), (255, 0, 0))
    )
    assert red[:, 1].max() < green[:, 1].min()  # beside each other
    assert red[:, 0].max() < blue[:, 0].min()  # below it
    assert np.ptp(red[:, 1]) == pytest.approx(np.ptp(red[:, 0]), abs=3)
    below = drawn[green[:, 0].max() + 3 :, green[:, 1].min() :]
    assert (below == 255).all()
    assert [p.name for p in path.parent.iterdir()] == ["grid.png"]


def test_titles_headings_and_captions_can_be_read(tmp_path, monkeypatch):
    texts = {}

    def catch(figure, *_, **__):
        for text in figure.findobj(Text):
            texts[text.get_text()] = text

    monkeypatch.setattr(Figure, "savefig", catch)
    monkeypatch.setattr("semamb_mm.formats.files.os.replace", lambda *_: None)
    grey = np.full((20, 20, 3), 128, np.uint8)
    rows = [[Framed(grey, "red", "labelled a\nis b")] * 9]
    draw_image_grid(tmp_path / "grid.png", rows, "green: right", ["query", "nearest 1"])
    assert {"green: right", "query", "nearest 1", "labelled a\nis b"} <= set(texts)
    width = texts["query"].figure.get_figwidth()
    for text in ("green: right", "query", "labelled a\nis b"):
        # At the width of a README, 830 pixels, at least 8 pixels high.
        assert texts[text].get_fontsize() / 72 * 830 / width >= 8


def test_nothing_to_draw_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="at least one row"):
        draw_image_grid(tmp_path / "grid.png", [], "query")
    assert not list(tmp_path.iterdir())
