import warnings

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.quiver import Quiver

from semamb_mm.pictures.moves import magnification, plot_moves


@pytest.fixture
def drawn(monkeypatch):
    """The axes of the figures that are written."""
    axes = []
    save = Figure.savefig

    def catch(figure, *args, **kwargs):
        axes[:] = figure.axes
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", catch)
    return axes


def square_and_moves(mean):
    """Nine points 100 apart, and moves of theirs with a mean and a deviation of 1."""
    rng = np.random.default_rng(0)
    shape = 50.0 * np.stack(np.meshgrid([-1, 0, 1], [-1, 0, 1]), -1).reshape(-1, 2)
    moves = rng.normal(size=(400, 9, 2))
    moves -= moves.mean(axis=0)
    return shape, moves + mean


def test_arrows_of_means_can_be_seen_and_the_title_says_how_long(tmp_path, drawn):
    shape, moves = square_and_moves(mean=0)
    moves[:, 4, 0] += 0.3  # six standard errors
    plot_moves(moves, tmp_path / "m.png", "px", shape)
    face = drawn[1]
    (arrows,) = (a for a in face.collections if isinstance(a, Quiver))
    assert arrows.N == 1 and arrows.XY.tolist() == [[0, 0]]
    # 0.3 of a face of 100: an arrow of 6 is seen.
    assert 1 / arrows.scale == 20
    np.testing.assert_allclose(arrows.U, [0.3], rtol=1e-6)
    title = face.get_title()
    assert "arrow: mean move beyond 3 standard errors, magnified 20 times" in title
    assert "ellipse: 2 s.d. of the moves, magnified 2 times" in title


def test_means_that_may_be_chance_have_no_arrow(tmp_path, drawn):
    shape, moves = square_and_moves(mean=0.05)
    plot_moves(8 * moves, tmp_path / "m.png", "px", shape)
    face = drawn[1]
    assert not [a for a in face.collections if isinstance(a, Quiver)]
    assert "no mean move is beyond 3 standard errors" in face.get_title()
    assert "ellipse: 2 s.d. of the moves, true to scale" in face.get_title()


def test_landmarks_on_the_face_have_their_numbers(tmp_path, drawn):
    shape, moves = square_and_moves(mean=0)
    plot_moves(moves, tmp_path / "m.png", "px", shape)
    numbers = {text.get_text(): text for text in drawn[1].texts}
    assert list(numbers) == [str(k) for k in range(9)]
    for k in (0, 1, 2, 6, 7, 8):  # the upper and the lower row: outside
        _, up = numbers[str(k)].get_position()
        assert np.sign(up) == -np.sign(shape[k, 1])


@pytest.mark.parametrize(
    "largest, shown, times",
    [
        (1, 10, 10),
        (1, 9.9, 5),
        (1, 2.4, 2),
        (1, 1.9, 1),
        (8, 1, 1),
        (0, 1, 1),
        (1, 450, 200),
    ],
)
def test_magnifications_are_round_numbers(largest, shown, times):
    assert magnification(largest, shown) == times


@pytest.mark.parametrize("landmarks", [68, 19])
def test_plot_of_moves_is_a_whole_file(tmp_path, landmarks):
    rng = np.random.default_rng(0)
    shape = rng.uniform(-50, 50, (landmarks, 2))
    plot_moves(rng.normal(size=(9, landmarks, 2)), tmp_path / "m.png", "px", shape)
    assert cv2.imread(str(tmp_path / "m.png")).shape[1] > 800
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]


@pytest.mark.parametrize("kind", ["distances", "one face", "still", "unseen landmark"])
def test_plots_of_unusual_moves(tmp_path, kind):
    rng = np.random.default_rng(0)
    shape = rng.uniform(-50, 50, (68, 2))
    moves = rng.normal(size=(9, 68, 2))
    if kind == "distances":
        moves = np.linalg.norm(moves, axis=-1)
    elif kind == "one face":
        moves = moves[:1]
    elif kind == "still":
        moves[:] = 0
    else:
        moves[:, 5], moves[3, 7] = np.nan, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot_moves(moves, tmp_path / "m.png", "px", shape)
    assert cv2.imread(str(tmp_path / "m.png")).std() > 10


@pytest.mark.parametrize(
    "moves, shape, message",
    [
        (np.zeros((3, 68, 3)), None, r"\(3, 68, 3\).*\(N, K, 2\)"),
        (np.zeros(3), None, r"\(3,\).*\(N, K, 2\)"),
        (np.zeros((3, 68)), np.zeros((67, 2)), r"\(67, 2\).*\(68, 2\)"),
        (np.full((3, 68), np.nan), None, "no finite move"),
        (np.zeros((0, 68, 2)), None, "no finite move"),
    ],
)
def test_plot_moves_rejects(tmp_path, moves, shape, message):
    with pytest.raises(ValueError, match=message):
        plot_moves(moves, tmp_path / "m.png", "px", shape)
    assert not list(tmp_path.iterdir())


def test_a_failed_plot_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m.png"
    plot_moves(np.ones((3, 5)), path, "px")
    before = path.read_bytes()

    def fail(figure, file, **_):
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("matplotlib.figure.Figure.savefig", fail)
    with pytest.raises(OSError, match="disk full"):
        plot_moves(np.ones((3, 5)), path, "px")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
