import cv2
import pytest

from semamb_mm.pictures.figures import drawn_figure, new_figure, save_figure


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


@pytest.mark.parametrize("suffix, start", [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_all_figures_have_one_style_and_leave_matplotlibs_alone(
    tmp_path, suffix, start
):
    matplotlib = pytest.importorskip("matplotlib")
    before = dict(matplotlib.rcParams)
    path = tmp_path / f"a.{suffix}"
    with drawn_figure(path, 4, 2, panels=2) as (one, other):
        (line,) = one.plot([0, 1], label="one")
        assert not other.spines["top"].get_visible()
        assert line.get_color() == "#0072b2"
    assert path.read_bytes().startswith(start)
    assert dict(matplotlib.rcParams) == before


def test_a_figure_that_fails_leaves_nothing(tmp_path):
    failing = pytest.raises(ValueError, match="no data")
    with failing, drawn_figure(tmp_path / "a.png", 4, 2):
        raise ValueError("no data")
    assert not list(tmp_path.iterdir())
