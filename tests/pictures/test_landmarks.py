import numpy as np

from semamb_mm.pictures.landmarks import CORRECTED, draw_landmarks


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
