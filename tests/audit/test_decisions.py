"""Decisions files, good and bad."""

import numpy as np
import pytest

from semamb_mm.audit.decisions import Decision, DecisionsError, read_decisions
from tests.trees.faces import face_68

from .reviews import decisions_file, review_of

REVIEW = review_of(["a", "b", "c"], [face_68(i) for i in range(3)])


def write(path, made=(("a", 10, "keep", None),), **changes):
    return decisions_file(path / "decisions.json", REVIEW, made, **changes)


def test_what_a_page_exports_is_read(tmp_path):
    path = write(
        tmp_path,
        [("a", 10, "accept", [3.5, 4]), ("c", 67, "hidden", None)],
        fingerprint="abc",
    )
    decisions = read_decisions(path)
    place = tuple(REVIEW.annotations[0, 10].round(3).tolist())
    last = tuple(REVIEW.annotations[2, 67].round(3).tolist())
    assert (decisions.fingerprint, decisions.num_keypoints) == ("abc", 68)
    assert decisions.decisions == (
        Decision("a", 10, "accept", place, (3.5, 4.0)),
        Decision("c", 67, "hidden", last, None),
    )


def entry(**changes):
    first = dict(
        sample="a", landmark=10, decision="move", annotation=[1, 2], point=[3, 4]
    )
    return dict(decisions=[{**first, **changes}])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(format="other"), "not a decisions file"),
        (dict(version=2), "of version 2; this semamb_mm reads version 1"),
        (dict(num_keypoints=0), "'num_keypoints', 'samples' or 'decisions'"),
        (dict(num_keypoints=True), "'num_keypoints', 'samples' or 'decisions'"),
        (dict(decisions={}), "'num_keypoints', 'samples' or 'decisions'"),
        (dict(decisions=[7]), r"decision 0 \(counted from 0\): 7; expected an object"),
        (entry(sample="z"), "sample 'z' is not among"),
        (entry(sample=["a"]), "is not among"),
        (entry(landmark=68), "landmark 68 of 'a'; expected 0 to 67"),
        (entry(landmark=-1), "expected 0 to 67"),
        (entry(landmark=1.0), "expected 0 to 67"),
        (entry(decision="maybe"), "'maybe'; expected one of accept, move"),
        (entry(decision=None), "None; expected one of"),
        (entry(point=None), "point None; expected two finite numbers"),
        (entry(point=[1]), "expected two finite numbers"),
        (entry(point=[1, "2"]), "expected two finite numbers"),
        (entry(point=[1, True]), "expected two finite numbers"),
        (entry(annotation=[1, None]), r"annotation \[1, None\]; expected two"),
        (entry(point=[float("nan"), 1]), "holds NaN"),
        (entry(point=[1, float("inf")]), "holds Infinity"),
        (entry(point=[10**400, 1]), "expected two finite numbers"),
        (
            entry(point=[119.6, 5]),
            r"\(119.6, 5\) lies outside .* of 120 x 100",
        ),
        (entry(point=[5, -0.6]), "lies outside the picture"),
        (dict(entry(), samples=dict(a=dict(size=None))), "gives no size"),
        (dict(entry(), samples=dict(a=7)), "gives no size"),
        (
            dict(decisions=[*entry()["decisions"], *entry(point=[5, 6])["decisions"]]),
            "landmark 10 of 'a' is decided twice",
        ),
    ],
)
def test_bad_files_are_refused_by_name(tmp_path, changes, message):
    path = write(tmp_path, **changes)
    with pytest.raises(DecisionsError, match=message) as error:
        read_decisions(path)
    assert str(path) in str(error.value)


def test_a_point_at_the_edge_is_inside(tmp_path):
    for point in ([-0.5, -0.5], [119.49, 99.49]):
        (decision,) = read_decisions(write(tmp_path, **entry(point=point))).decisions
        np.testing.assert_allclose(decision.point, point)


def test_a_number_too_large_for_a_float_is_refused(tmp_path):
    path = write(tmp_path, **entry())
    path.write_text(path.read_text().replace("[3, 4]", "[1e999, 4]"))
    with pytest.raises(DecisionsError, match="expected two finite numbers"):
        read_decisions(path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "not a text file"),
        (b'{"format": "semamb_mm dec', "not json .* expected the whole file"),
        (b"[" * 100_000, "not json"),
        (b"[]", "not a decisions file"),
    ],
)
def test_other_files_are_refused(tmp_path, data, message):
    path = tmp_path / "decisions.json"
    path.write_bytes(data)
    with pytest.raises(DecisionsError, match=message):
        read_decisions(path)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        read_decisions(path)


def test_only_some_decisions_change_anything():
    kinds = ("accept", "move", "hidden", "keep", "skip")
    made = [Decision("a", 0, kind, (0.0, 0.0), None) for kind in kinds]
    assert [decision.changes for decision in made] == [True] * 3 + [False] * 2
