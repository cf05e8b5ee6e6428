import numpy as np
import pytest

from semamb_mm.pictures.legends import dot, legend, line, ramp, ring


@pytest.mark.parametrize("mark", [dot, ring, line])
def test_a_mark_has_its_colour_and_its_label(mark):
    strip = legend([mark("", (10, 20, 250))], 200)
    assert (strip == (10, 20, 250)).all(-1).any()
    assert not (strip > 240).all(-1).any()
    assert (legend([mark("what", (10, 20, 250))], 200) > 240).all(-1).any()


def test_a_ramp_goes_from_the_first_colour_to_the_last():
    strip = legend([ramp("", lambda share: (int(255 * share), 0, 9))], 100)
    (row,) = np.unique(strip[(strip[..., 2] == 9).any(1)], axis=0)
    shares = row[row[:, 2] == 9, 0].tolist()
    assert shares == sorted(shares) and (shares[0], shares[-1]) == (0, 255)


def test_what_does_not_fit_goes_into_another_line():
    marks = [dot("one", (255, 0, 0)), dot("other", (0, 0, 255))]
    wide, narrow = legend(marks, 400), legend(marks, 90)
    assert wide.shape == (26, 400, 3) and narrow.shape == (52, 90, 3)
    red, blue = (
        np.flatnonzero((narrow == colour).all(-1).any(1))
        for colour in ((255, 0, 0), (0, 0, 255))
    )
    assert red.max() < 26 <= blue.min()
