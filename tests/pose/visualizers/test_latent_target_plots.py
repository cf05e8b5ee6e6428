import cv2
import numpy as np
import pytest

from semamb_mm.pose.datasets.synthetic_faces import render_face
from semamb_mm.pose.visualizers import contact_sheet, draw_targets, plot_moves
from semamb_mm.pose.visualizers.latent_target_plots import COLOURS


def test_drawn_dots_lie_where_the_targets_are():
    face = render_face(0, 0)
    annotation = face.keypoints + 3
    drawn = draw_targets(face.image, annotation, face.keypoints, size=300)
    assert drawn.shape == (300, 300, 3) and drawn.dtype == np.uint8
    low, high = annotation.min(0), annotation.max(0)
    side = (high - low).max() * 1.3
    place = (face.keypoints - (low + high) / 2 + side / 2) * 300 / side
    x, y = np.round(place[8]).astype(int)
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
