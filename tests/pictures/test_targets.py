import warnings

import cv2
import numpy as np
import pytest

from semamb_mm.pictures.targets import (
    COLOURS,
    MOVE_COLOUR,
    contact_sheet,
    draw_targets,
    plot_moves,
)
from semamb_mm.synthetic.faces import render_face


def place(points, annotation, size):
    """Where drawn points lie, in pixels of the picture."""
    low, high = annotation.min(0), annotation.max(0)
    side = (high - low).max() * 1.3
    return (points - (low + high) / 2 + side / 2) * size / side


def test_drawn_dots_lie_where_the_targets_are():
    face = render_face(0, 0)
    annotation = face.keypoints + 3
    drawn = draw_targets(face.image, annotation, face.keypoints, size=300)
    assert drawn.shape == (300, 300, 3) and drawn.dtype == np.uint8
    x, y = np.round(place(face.keypoints, annotation, 300)[8]).astype(int)
    assert tuple(drawn[y, x]) == COLOURS["latent"]


def test_contact_sheet_layout():
    images = [np.full((10, 20, 3), i, np.uint8) for i in range(5)]
    sheet = contact_sheet(images, columns=2)
    assert sheet.shape == (30, 40, 3)
    assert (sheet[10:20, 20:40] == 3).all() and (sheet[20:, 20:] == 255).all()
    assert contact_sheet(images, 2, [""] * 5).shape == (3 * 32, 40, 3)
    with pytest.raises(ValueError, match="same size"):
        contact_sheet([images[0], images[1][:5]], 2)
    with pytest.raises(ValueError, match="pictures"):
        contact_sheet([], 2)


@pytest.mark.parametrize("landmarks", [68, 19])
def test_plot_of_moves_is_a_whole_file(tmp_path, landmarks):
    rng = np.random.default_rng(0)
    shape = rng.uniform(-50, 50, (landmarks, 2))
    plot_moves(rng.normal(size=(9, landmarks, 2)), tmp_path / "m.png", "px", shape)
    assert cv2.imread(str(tmp_path / "m.png")).shape[1] > 800
    assert [p.name for p in tmp_path.iterdir()] == ["m.png"]


def test_every_kind_of_point_and_the_line_between():
    image = np.full((90, 120, 3), 128, np.uint8)
    annotation = np.array([[10, 10], [100, 10], [30, 80.0]])
    points = {
        "annotation": annotation,
        "latent": annotation + [0, 8],
        "prediction": annotation + [10, 0],
        "truth": annotation + [10, 8],
    }
    drawn = draw_targets(image, *points.values(), size=400)

    def colour_at(point):
        x, y = np.round(place(point, annotation, 400)[1]).astype(int)
        return tuple(drawn[y, x].tolist())

    for name in ("annotation", "latent", "prediction"):
        assert colour_at(points[name]) == COLOURS[name]
    assert colour_at(points["truth"]) == (128, 128, 128)  # a ring
    assert colour_at(annotation + [0, 4]) == pytest.approx(MOVE_COLOUR, abs=60)
    # a shorter picture without the optional ones
    assert (draw_targets(image, annotation, annotation + 1, size=200) != 128).any()


def test_points_that_cannot_be_drawn_are_left_out():
    image = np.full((90, 90, 3), 128, np.uint8)
    annotation = np.array([[10, 10], [80, 10], [30, 80], [np.nan, 0]])
    latent = annotation.copy()
    latent[0] = np.nan
    prediction = np.full((4, 2), np.inf)
    prediction[1] = 1e12
    drawn = draw_targets(image, annotation, latent, prediction)
    with_annotation_only = draw_targets(image, annotation[:3], latent[:3])
    below_the_legends = slice(90, None)
    np.testing.assert_array_equal(
        drawn[below_the_legends], with_annotation_only[below_the_legends]
    )


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(image=np.zeros((9, 9), np.uint8)), r"\(9, 9\).*\(H, W, 3\) uint8"),
        (dict(image=np.zeros((9, 9, 3))), r"float64.*\(H, W, 3\) uint8"),
        (dict(latent=np.zeros((4, 2))), r"latent has shape \(4, 2\).*\(5, 2\)"),
        (dict(truth=np.zeros((5, 3))), r"truth has shape \(5, 3\)"),
        (dict(annotation=np.full((5, 2), np.nan)), "no two distinct"),
        (dict(annotation=np.ones((5, 2))), "no two distinct"),
    ],
)
def test_draw_targets_rejects(changes, message):
    face = np.arange(10.0).reshape(5, 2)
    good = dict(image=np.zeros((9, 9, 3), np.uint8), annotation=face, latent=face)
    with pytest.raises(ValueError, match=message):
        draw_targets(**good | changes)


def test_titles_stay_under_their_picture():
    images = [np.zeros((10, 120, 3), np.uint8)] * 2
    sheet = contact_sheet(images, 2, ["a very long title of one picture " * 3, ""])
    assert (sheet[10:, :120] != 255).any()
    assert (sheet[10:, 118:] == 255).all()
    with pytest.raises(ValueError, match="2 pictures: got 2 columns and 1 titles"):
        contact_sheet(images, 2, ["one"])
    with pytest.raises(ValueError, match="got 0 columns"):
        contact_sheet(images, 0)


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
