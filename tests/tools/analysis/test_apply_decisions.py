"""tools/analysis/apply_decisions.py, called as a user calls it."""

import pytest

from semamb_mm.formats.pts import read_pts
from tests.audit.reviews import decisions_file, write_tree
from tools.analysis import apply_decisions


@pytest.fixture
def given(tmp_path):
    """A tree and decisions about it; what the tool prints when it is called."""
    review = write_tree(tmp_path / "data")
    made = [("000000", 10, "move", [5, 6]), ("000001", 11, "hidden", None)]
    return decisions_file(tmp_path / "decisions.json", review, made), tmp_path


def test_it_says_what_it_did(given, capsys):
    path, folder = given
    arguments = ["--dataset", str(folder / "data"), "--out", str(folder / "out")]
    apply_decisions.main([str(path), *arguments])
    assert read_pts(folder / "out/000000.pts")[10].tolist() == [5, 6]
    assert capsys.readouterr().out.splitlines() == [
        "accept: 0, move: 1, hidden: 1, keep: 0, skip: 0",
        f"wrote {folder / 'out'}, 1 landmarks changed; changes.csv in it",
        "1 hidden landmarks are in changes.csv alone: .pts files have no flag for "
        "them; a COCO file said so already (--hidden 0 says more)",
    ]


@pytest.mark.parametrize(
    ("decisions", "dataset", "message"),
    [
        ("none.json", "data", "No such file"),
        ("data/000000.pts", "data", "not json"),
        ("decisions.json", "nowhere", "no such file or folder"),
        ("decisions.json", "decisions.json", "not a COCO file"),
    ],
)
def test_errors_are_one_line(given, decisions, dataset, message):
    _, folder = given
    paths = [str(folder / decisions), "--dataset", str(folder / dataset)]
    with pytest.raises(SystemExit, match=message) as error:
        apply_decisions.main([*paths, "--out", str(folder / "out")])
    assert str(folder) in str(error.value) and "\n" not in str(error.value)
    assert not (folder / "out").exists()
