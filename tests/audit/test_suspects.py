"""Which labels are left out: files of the audit, of its page, and of one's own."""

import numpy as np
import pytest

from semamb_mm.audit import decide
from semamb_mm.audit.decisions import DecisionsError
from semamb_mm.audit.report import write_landmarks
from semamb_mm.audit.suspects import (
    Suspect,
    SuspectsError,
    read_suspects,
    suspect_mask,
)

from .data_sets import faces
from .reviews import decisions_file, review_of

KEYS = ["a", "b, of two"]
POINTS = np.arange(12.0).reshape(2, 3, 2)
VISIBLE = np.array([[True, True, False], [True] * 3])


def mask_of(suspects):
    return suspect_mask(suspects, KEYS, POINTS, VISIBLE)


def test_the_audits_table_gives_its_suspects(tmp_path):
    made = faces(wrong=0.01)
    audit = decide(*made.arrays)
    path = tmp_path / "landmarks.csv"
    write_landmarks(path, audit)
    visible = np.ones(audit.suspects.shape, bool)
    # Other samples of the data set, and another order, do not matter.
    keys = [*audit.keys[::-1], "more"]
    points = np.concatenate([audit.annotations[::-1], audit.annotations[:1]])
    visible = np.concatenate([visible, visible[:1]])
    found = suspect_mask(read_suspects(path), keys, points.astype(np.float32), visible)
    assert audit.suspects.sum() > 10
    assert np.array_equal(found[:-1][::-1], audit.suspects) and not found[-1].any()


def test_what_was_accepted_moved_or_hidden_on_the_page_is_a_suspect(tmp_path):
    review = review_of(["a", "b"], np.full((2, 68, 2), 50.0))
    made = [
        ("a", 10, "accept", [3.5, 4]), ("a", 11, "move", [5, 6]),
        ("b", 12, "hidden", None), ("b", 10, "keep", None), ("b", 11, "skip", None),
    ]  # fmt: skip
    path = decisions_file(tmp_path / "decisions.json", review, made)
    found = suspect_mask(
        read_suspects(path), ["a", "b"], review.annotations, np.ones((2, 68), bool)
    )
    assert np.argwhere(found).tolist() == [[0, 10], [0, 11], [1, 12]]
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(DecisionsError, match="not a decisions file"):
        read_suspects(tmp_path / "other.json")


def test_a_table_of_ones_own_needs_two_columns(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text('\ufefflandmark,sample\r\n2,"b, of two"\r\n', encoding="utf-8")
    assert read_suspects(path) == [Suspect("b, of two", 2, None, f"{path}, line 2")]
    assert np.argwhere(mask_of(read_suspects(path))).tolist() == [[1, 2]]
    path.write_text("sample,landmark\n")
    assert not mask_of(read_suspects(path)).any()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"its columns are \[\]; expected landmarks.csv of tools/analysis"),
        (b"key,landmark\na,1\n", r"its columns are \['key', 'landmark'\]"),
        (b"\xff\xfe\x00", "not a table"),
        (b"sample,landmark\na,\n", "line 2: .*expected a number in 'landmark'"),
        (b"sample,landmark\na\n", "line 2: .*expected a number in 'landmark'"),
        (b"sample,landmark,suspect\na,1,yes\n", "line 2: suspect is 'yes'; .* 0 or 1"),
        (b"sample,landmark,suspect\na,1\n", "line 2: suspect is None; expected 0 or 1"),
        (
            b"sample,landmark,annotation_x,annotation_y\na,1,2.00,x\n",
            "line 2: .*'annotation_x' and 'annotation_y'",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_named(tmp_path, content, message):
    path = tmp_path / "suspects.csv"
    path.write_bytes(content)
    with pytest.raises(SuspectsError, match=f"suspects.csv.*{message}"):
        read_suspects(path)


def test_files_of_another_kind_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.csv; expected landmarks.csv"):
        read_suspects(tmp_path / "none.csv")
    (tmp_path / "targets.npz").write_bytes(b"")
    with pytest.raises(SuspectsError, match="targets.npz: neither .csv nor .json"):
        read_suspects(tmp_path / "targets.npz")


@pytest.mark.parametrize(
    ("sample", "landmark", "annotation", "message"),
    [
        ("c", 1, None, "landmark 1 of sample 'c': .*no such sample; it has 2, .*'a'"),
        ("a", 3, None, "landmark 3 of sample 'a': .*landmarks are 0 to 2"),
        ("a", -1, None, "landmark -1 of sample 'a': .*landmarks are 0 to 2"),
        ("a", 2, None, "landmark 2 of sample 'a': it is not annotated"),
        ("a", 1, (2.0, 3.1), r"at \(2, 3.1\) and is now at \(2.00, 3.00\). Audit"),
        ("a", 1, (float("nan"), 3), "was annotated at"),
    ],
)
def test_what_the_data_set_lacks_is_named(sample, landmark, annotation, message):
    suspect = Suspect(sample, landmark, annotation, "s.csv, line 7")
    with pytest.raises(SuspectsError, match=f"s.csv, line 7: .*{message}"):
        mask_of([suspect])
    assert mask_of([Suspect("a", 1, (2.0, 3.01), "")])[0, 1]


def test_a_file_may_be_of_more_samples_if_that_is_said():
    more = [Suspect("c", 99, None, ""), Suspect("a", 1, None, "")]
    found = suspect_mask(more, KEYS, POINTS, VISIBLE, subset=True)
    assert np.argwhere(found).tolist() == [[0, 1]]
    with pytest.raises(SuspectsError, match="landmarks are 0 to 2"):
        suspect_mask([Suspect("a", 99, None, "")], KEYS, POINTS, VISIBLE, subset=True)
