import os

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from semamb_mm.formats.pts import PtsError, move_points, read_pts, write_pts

POINTS = np.arange(136, dtype=np.float32).reshape(68, 2) / 4
ROWS = [f"{x} {y}" for x, y in POINTS]
HEADER = ["version: 1", "n_points: 68", "{"]


def make(folder, lines, newline="\n"):
    path = folder / "face.pts"
    path.write_bytes(newline.join(lines).encode())
    return path


LAYOUTS = {
    "standard": [*HEADER, *ROWS, "}"],
    "blank tail": [*HEADER, *ROWS, "}", "", ""],
    "tight": ["\ufeffversion:1", "n_points:68", "", "{", *ROWS, "}"],
    "braces only": ["{", *ROWS, "}"],
    "marked braces": ["\ufeff{", *ROWS, "}"],
    "bare": ROWS,
    "blank": ["", *ROWS, ""],
    "tabs": [row.replace(" ", "\t") + "  " for row in ROWS],
}
each_layout = pytest.mark.parametrize("lines", LAYOUTS.values(), ids=LAYOUTS)
each_newline = pytest.mark.parametrize("newline", ["\n", "\r\n"])


@each_newline
@each_layout
def test_reads_with_and_without_header(tmp_path, lines, newline):
    keypoints = read_pts(make(tmp_path, lines, newline))
    assert keypoints.dtype == np.float32
    np.testing.assert_array_equal(keypoints, POINTS)


def test_origin_one_makes_the_first_pixel_zero(tmp_path):
    path = make(tmp_path, ROWS)
    np.testing.assert_array_equal(read_pts(path, origin=1), POINTS - 1)
    with pytest.raises(ValueError, match="origin is 2"):
        read_pts(path, origin=2)


def test_takes_other_layouts_and_any_number(tmp_path):
    path = make(tmp_path, ROWS[:5])
    assert read_pts(path, num_points=5).shape == (5, 2)
    assert read_pts(path, num_points=None).shape == (5, 2)


@pytest.mark.parametrize(
    ("lines", "line", "message"),
    [
        ([*HEADER, *ROWS[:67], "}"], 2, "n_points says 68, but 67"),
        (["n_points: 67", "{", *ROWS[:67], "}"], 70, "67 landmarks.*expected 68"),
        (ROWS[:67], 67, "67 landmarks in the file; expected 68"),
        ([*ROWS, "1 2"], 69, "69 landmarks in the file; expected 68"),
        ([*HEADER, *ROWS[:9], "nose tip", *ROWS[10:], "}"], 13, "nose tip.*two number"),
        ([*ROWS[:3], "1 2 3", *ROWS[4:]], 4, "two numbers"),
        ([*ROWS[:3], "1", *ROWS[4:]], 4, "two numbers"),
        ([*ROWS[:3], "1,0 2,0", *ROWS[4:]], 4, "two numbers"),
        ([*HEADER, *ROWS[:20], "nan 3", *ROWS[21:], "}"], 24, "finite"),
        ([*ROWS[:20], "3 -inf", *ROWS[21:]], 21, "finite"),
        ([*HEADER, *ROWS], 71, "without the '}'"),
        ([*HEADER, *ROWS[:30]], 33, "cut short"),
        ([*HEADER[:2], *ROWS, "}"], 3, "'{' was expected"),
        ([*ROWS, "}"], 69, "without a '{'"),
        ([*HEADER, "{", *ROWS, "}"], 4, "second or late '{'"),
        ([*HEADER, *ROWS, "}", "1 2"], 73, "after the closing"),
        (["version: 1", "n_points: many", "{", *ROWS, "}"], 2, "whole number"),
        (["version: 1"], None, "no landmarks"),
        ([], None, "no landmarks in it; expected 68"),
    ],
)
def test_errors_name_file_and_line(tmp_path, lines, line, message):
    path = make(tmp_path, lines)
    with pytest.raises(PtsError, match=message) as caught:
        read_pts(path)
    place = str(path) if line is None else f"{path}, line {line}:"
    assert str(caught.value).startswith(place)


def test_binary_file_is_an_error(tmp_path):
    path = tmp_path / "face.pts"
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with pytest.raises(PtsError, match="not a text file"):
        read_pts(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    keypoints=arrays(np.float64, (7, 2), elements=st.floats(-5000, 5000)),
    origin=st.sampled_from([0, 1]),
)
def test_written_is_read_back(tmp_path, keypoints, origin):
    path = tmp_path / "face.pts"
    write_pts(path, keypoints, origin)
    back = read_pts(path, num_points=7, origin=origin)
    np.testing.assert_allclose(back, keypoints, atol=1.2e-3)


def test_refuses_to_write_what_it_could_not_read(tmp_path):
    path = tmp_path / "face.pts"
    with pytest.raises(ValueError, match="landmark 1 is"):
        write_pts(path, np.array([[0, 1], [np.nan, 2]]))
    with pytest.raises(ValueError, match="shape"):
        write_pts(path, np.zeros((68, 3)))
    assert not list(tmp_path.iterdir())


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "face.pts"
    write_pts(path, POINTS)

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        write_pts(path, POINTS + 1)
    np.testing.assert_array_equal(read_pts(path), POINTS)
    assert list(tmp_path.iterdir()) == [path]


@each_newline
@each_layout
def test_moved_points_leave_the_other_lines_alone(tmp_path, lines, newline):
    path, copy = make(tmp_path, lines, newline), tmp_path / "new/face.pts"
    before = path.read_bytes()
    move_points(path, {0: (7.25, -1.5), 67: (1 / 3, 8)}, copy)
    moved = POINTS.copy()
    moved[0], moved[67] = (7.25, -1.5), (0.333, 8)
    np.testing.assert_array_equal(read_pts(copy), moved)
    assert path.read_bytes() == before
    old, new = before.split(b"\n"), copy.read_bytes().split(b"\n")
    assert len(old) == len(new)
    assert sum(a != b for a, b in zip(old, new)) == 2


def test_moved_points_are_counted_from_the_origin(tmp_path):
    path = make(tmp_path, ["{", "10.123456 20", "30 40", "}"])
    move_points(path, {1: (4.5, 5)}, tmp_path / "new.pts", origin=1)
    assert (tmp_path / "new.pts").read_text() == "{\n10.123456 20\n5.500 6.000\n}"


@pytest.mark.parametrize(
    ("points", "message"),
    [({2: (1, 2)}, "no landmark 2 in it; it has 2"), ({-1: (1, 2)}, "no landmark -1"),
     ({0: (1, np.nan)}, "landmark 0 is to be at")],
)  # fmt: skip
def test_points_that_cannot_be_moved(tmp_path, points, message):
    path = make(tmp_path, ["10 20", "30 40"])
    with pytest.raises(ValueError, match=message):
        move_points(path, points, tmp_path / "new.pts")
    assert not (tmp_path / "new.pts").exists()
