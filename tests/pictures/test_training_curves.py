import numpy as np
import pytest
from matplotlib.figure import Figure

from semamb_mm.pictures.training_curves import draw_training_curves


@pytest.fixture
def panels(monkeypatch):
    """The axes of the figure that is written."""
    axes = []

    def save(figure, path, **_):
        axes.extend(figure.axes)
        path.touch()

    monkeypatch.setattr(Figure, "savefig", save)
    return axes


def test_a_panel_for_each_quantity_and_a_curve_for_each_run(tmp_path, panels):
    loss, error = np.array([(1, 0.5), (2, 0.1)]), np.array([(2, -3.0)])
    runs = dict(plain=dict(loss=loss), ours=dict(loss=loss / 2, error=error))
    draw_training_curves(tmp_path / "t.png", runs, ["loss", "error"], start=1)
    assert [axes.get_title() for axes in panels] == ["loss", "error"]
    losses, errors = panels
    for axes, labels in ((losses, ["plain", "ours"]), (errors, ["ours"])):
        assert [line.get_label() for line in axes.lines[:-1]] == labels
        assert "search begins" in [text.get_text() for text in axes.texts]
    legend = losses.get_legend().get_texts()
    assert [text.get_text() for text in legend] == ["plain", "ours"]
    np.testing.assert_array_equal(losses.lines[1].get_xydata(), loss / 2)
    assert (losses.get_yscale(), errors.get_yscale()) == ("log", "linear")
