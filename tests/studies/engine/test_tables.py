"""studies/engine/tables.py."""

from studies.engine import markdown, paired, rounded, spread, write_csv


def test_spread_over_seeds():
    assert spread([1.0, 3.0]) == "2.00 ± 1.41"
    assert spread([1.0, 3.0], digits=1) == "2.0 ± 1.4"
    assert spread([1.0, 3.0], how="range") == "2.00 (1.00-3.00)"
    assert spread([1.0]) == spread([1.0], how="range") == "1.00"
    assert spread([]) == ""


def test_markdown():
    assert markdown(["a", "b"], [[1, "x"]]) == "| a | b |\n|---|---|\n| 1 | x |"


def test_csv_has_all_columns(tmp_path):
    rows = [dict(a=1, **rounded(dict(b=0.5))), dict(a=2, c=3)]
    write_csv(tmp_path / "out" / "rows.csv", rows)
    text = (tmp_path / "out" / "rows.csv").read_text()
    assert text.splitlines() == ["a,b,c", "1,0.5000,", "2,,3"]


def test_paired_differences_over_common_seeds():
    theirs = {0: 1.0, 1: 2.0, 2: 3.0, 3: 9.0}
    # Differences 1, 2, 3: t of two degrees of freedom is 4.303, the error 1 / sqrt(3).
    ours = {0: 2.0, 1: 4.0, 2: 6.0, 4: 0.0}
    assert paired(ours, theirs, digits=2) == "+2.00 (-0.48 to +4.48)"
    assert paired({1: 1.0}, theirs) == "-1.0"
    assert paired({5: 1.0}, theirs) == paired({}, theirs) == ""
