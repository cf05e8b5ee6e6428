import numpy as np
import pytest

from semamb_mm.pictures.contact_sheets import contact_sheet
from semamb_mm.pictures.targets import (
    COLOURS,
    MOVE_COLOUR,
    draw_targets,
    targets_sheet,
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


def test_the_legend_names_whatever_is_drawn_and_covers_no_face():
    face = render_face(0, 0)
    points = {
        "annotation": face.keypoints + 3,
        "latent": face.keypoints,
        "prediction": face.keypoints - 3,
        "truth": face.keypoints + 1,
    }
    drawn = draw_targets(face.image, *points.values(), size=200)
    faces, layers = [drawn, drawn], list(points)
    sheet = targets_sheet(faces, layers, columns=2, titles=["one", "two"])
    plain = contact_sheet(faces, 2, ["one", "two"])
    legend = sheet[: len(sheet) - len(plain)]
    np.testing.assert_array_equal(sheet[len(legend) :], plain)

    def shows(strip, colour):
        return (np.abs(strip.astype(int) - colour).max(-1) < 12).any()

    colours = {**COLOURS, "move": MOVE_COLOUR}
    for name, colour in colours.items():
        assert shows(drawn, colour) and shows(legend, colour), name
    without = targets_sheet(faces, ["annotation", "latent"], columns=2)
    strip = without[: len(without) - 200]
    assert not shows(strip, COLOURS["prediction"]) and shows(strip, MOVE_COLOUR)
    # Names that do not fit in a line go on in the next.
    narrow = targets_sheet([drawn], layers, columns=1)
    assert len(narrow) - 200 > len(legend)
