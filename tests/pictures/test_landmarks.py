import numpy as np

from semamb_mm.pictures.landmarks import (
    CORRECTED,
    draw_landmarks,
    enlarged,
    landmark_legend,
)


def test_landmarks_show_how_sure_and_which_were_corrected():
    image = np.full((120, 240, 3), 7, np.uint8)
    points = np.array([[30.0, 60], [120, 60], [210, 60]])
    drawn = draw_landmarks(
        image,
        points,
        np.array([0.0, 0.5, 1.0]),
        corrected=np.array([True, False, False]),
    )
    assert (image == 7).all()
    colours = [tuple(drawn[60, int(x)].tolist()) for x in points[:, 0]]
    assert colours == [(0, 0, 255), (0, 255, 255), (0, 255, 0)]
    magenta = np.abs(drawn.astype(int) - CORRECTED).max(-1) < 60
    _, columns = np.nonzero(magenta)
    assert len(columns) and np.abs(columns - 30).max() < 6


def test_a_box_is_drawn_around_the_face():
    image = np.zeros((40, 40, 3), np.uint8)
    points, scores = np.array([[10.0, 10], [30, 30]]), np.ones(2)
    boxed = draw_landmarks(image, points, scores, box=np.array([5, 6, 35, 36.0]))
    assert (boxed[6, 5:36] == 200).all() and (boxed[6:37, 35] == 200).all()


def test_small_pictures_are_enlarged_and_their_landmarks_with_them():
    image = np.full((32, 160, 3), 7, np.uint8)
    large, zoom = enlarged(image)
    assert zoom == 4 and large.shape == (128, 640, 3)
    points = np.array([[10.0, 8], [149, 23]])
    drawn = draw_landmarks(
        large, points, np.ones(2), box=np.array([5, 4, 155, 27]), zoom=4
    )
    for x, y in points:  # the pixel's middle is 1.5 from its first of four
        assert drawn[int(4 * y + 2), int(4 * x + 2)].tolist() == [0, 255, 0]
    assert (drawn[18, 30:600] == 200).all()
    # Dots of eyes, about an eighth of a face wide, do not touch each other.
    covered = (drawn == (0, 255, 0)).all(-1)[:, :100].any(0).sum()
    assert covered <= 640 / 8 / 6
    unchanged, zoom = enlarged(np.zeros((400, 9, 3), np.uint8))
    assert zoom == 1 and unchanged.shape == (400, 9, 3)


def test_the_legend_has_every_colour():
    plain, refined = landmark_legend(400), landmark_legend(400, refined=True)
    assert (plain == (0, 0, 255)).all(-1).any() and (plain == (0, 255, 0)).all(-1).any()
    assert not (plain == CORRECTED).all(-1).any()
    assert (refined == CORRECTED).all(-1).any()
