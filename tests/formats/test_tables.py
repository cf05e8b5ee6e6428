import pytest

from semamb_mm.formats.tables import write_csv


def test_a_table_is_whole_or_not_there(tmp_path):
    path = tmp_path / "new" / "table.csv"
    write_csv(path, ("name", "value"), [("a,b", 1), ("c", 2.5)])
    assert path.read_text() == 'name,value\n"a,b",1\nc,2.5\n'

    def rows():
        yield ("d", 3)
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_csv(path, ("name", "value"), rows())
    assert path.read_text().endswith("c,2.5\n")
    assert [p.name for p in path.parent.iterdir()] == ["table.csv"]
