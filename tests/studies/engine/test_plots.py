"""studies/engine/plots.py."""

import cv2

from studies.engine import curve, panels


def test_the_mean_is_drawn_where_all_seeds_have_a_point(tmp_path):
    path = tmp_path / "curves.png"
    with panels(path, 2) as (left, right):
        curve(left, [{1: 2.0, 2: 4.0, 3: 1.0}, {1: 4.0, 2: 2.0}], "a", 0)
        right.set(title="empty")
        mean = left.lines[-1]
        assert mean.get_label() == "a"
        assert mean.get_xydata().tolist() == [[1, 3], [2, 3]]
    assert cv2.imread(str(path)).std() > 0
