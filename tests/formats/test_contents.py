"""Contents against a protocol; the trees themselves are tested with check_dataset."""

from semamb_mm.formats.contents import Contents, files_below, find_problems


def test_whole_contents_have_no_problem():
    whole = Contents(dict(faces=2), ["a", "b"], ["b", "a"])
    assert find_problems(dict(faces=2), whole) == []


def test_every_problem_has_a_line():
    contents = Contents(dict(faces=1, more=9), ["a", "b", "b"], ["b", "c"])
    assert find_problems(dict(faces=1200), contents) == [
        "faces: 1 where 1,200 are expected",
        "missing: a",
        "surplus: c",
        "listed 2 times: b",
    ]


def test_files_below(tmp_path):
    for name in ("a/1", "a/b/2", "c/3"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = files_below(str(tmp_path), "a", "absent")
    assert sorted(found) == [str(tmp_path / "a/1"), str(tmp_path / "a/b/2")]
