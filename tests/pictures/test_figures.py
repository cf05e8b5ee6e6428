import cv2
import pytest

from semamb_mm.pictures.figures import new_figure, save_figure


def test_a_figure_is_written_with_its_panels(tmp_path):
    figure, panels = new_figure(4, 2, panels=3)
    assert len(panels) == 3
    save_figure(figure, tmp_path / "new" / "a.png", dpi=50)
    assert cv2.imread(str(tmp_path / "new" / "a.png")).shape == (100, 200, 3)


def test_figures_are_not_kept_by_pyplot(tmp_path):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    figure, _ = new_figure(1, 1)
    save_figure(figure, tmp_path / "a.png")
    assert not pyplot.get_fignums()
