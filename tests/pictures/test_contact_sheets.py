import numpy as np
import pytest

from semamb_mm.pictures.contact_sheets import contact_sheet


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


def test_titles_stay_under_their_picture():
    images = [np.zeros((10, 120, 3), np.uint8)] * 2
    sheet = contact_sheet(images, 2, ["a very long title of one picture " * 3, ""])
    assert (sheet[10:, :120] != 255).any()
    assert (sheet[10:, 118:] == 255).all()
    with pytest.raises(ValueError, match="2 pictures: got 2 columns and 1 titles"):
        contact_sheet(images, 2, ["one"])
    with pytest.raises(ValueError, match="got 0 columns"):
        contact_sheet(images, 0)
