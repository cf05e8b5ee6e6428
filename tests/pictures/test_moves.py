import warnings

import cv2
import numpy as np
import pytest

from semamb_mm.pictures.moves import plot_moves


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
