"""studies/second_annotations.py: the file, the marks, the figures."""

import csv
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from semamb_mm.faces.landmarks import OUTER_EYE_CORNERS_68
from studies import second_annotations

MARKS = ("17", "36", "45", "38+37")
NAMES = ["b/2", "a/1", "c/3"]


@pytest.fixture
def faces(tmp_path):
    """Return annotations of three faces and the file of the second group's marks.

    These lie 3 px further right, and at the brow 4, 6 and 8 px.
    """
    rng = np.random.default_rng(0)
    faces = rng.uniform(0, 50, (3, 68, 2))
    left, right = OUTER_EYE_CORNERS_68
    faces[:, right] = faces[:, left] + (100, 0)
    path = tmp_path / "second_annotation.csv"
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "landmark", "ibug_indices", "x", "y"])
        for row, name in enumerate(["a/1", "b/2", "c/3"]):
            own = faces[NAMES.index(name)]
            for mark in MARKS:
                x, y = own[[int(part) for part in mark.split("+")]].mean(0)
                shift = 4 + 2 * row if mark == "17" else 3
                writer.writerow([name, "x", mark, x + shift, y])
    return faces, path


def rows_of(monkeypatch, path, targets, annotations, keys=NAMES):
    state = dict(keys=keys)
    for name, points in (("targets", targets), ("annotations", annotations)):
        state[name] = torch.from_numpy(points)
    monkeypatch.setattr(second_annotations, "saved_targets", lambda run: state)
    run = SimpleNamespace(method="aligned", seed=7)
    return second_annotations.rows_of(run, path)


def test_offsets_do_not_count_and_what_is_left_does(faces, monkeypatch):
    annotations, path = faces
    targets = annotations.copy()
    targets[:, 17] += np.array([[3.0, 0], [2, 0], [4, 0]])  # half way, and 1
    rows = {r[3]: r[4:] for r in rows_of(monkeypatch, path, targets, annotations)}
    assert set(rows) == {"brows", "eyes", "all"}
    assert rows["eyes"][0] == "0.00"
    # The second group's -2, 0 and +2 px are left, of 100; of targets half as much.
    assert rows["brows"][:2] == ["1.63", "0.82"]
    assert rows["brows"][2].startswith("-50.0 % (-50.0 to -50.0)")
    assert rows["all"][:2] == ["0.82", "0.41"]


def test_faces_without_a_second_annotation_do_not_count(faces, monkeypatch):
    annotations, path = faces
    more = np.concatenate([annotations, annotations[:1] + 500])
    rows = rows_of(monkeypatch, path, more, more, [*NAMES, "d/4"])
    assert {row[2] for row in rows} == {"3"}
    assert all(row[-1].startswith(("+0.0 %", "+nan")) for row in rows)
    with pytest.raises(SystemExit, match="none of its images"):
        rows_of(monkeypatch, path, more[:1], more[:1], ["e/5"])


def test_runs_without_targets_and_a_missing_file(tmp_path, monkeypatch):
    monkeypatch.setattr(second_annotations, "saved_targets", lambda run: {})
    assert second_annotations.rows_of(None, tmp_path / "x.csv") == []
    with pytest.raises(SystemExit, match="x.csv: expected the second annotations"):
        second_annotations.read_second(tmp_path / "x.csv")
