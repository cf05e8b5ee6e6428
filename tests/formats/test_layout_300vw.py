"""300-VW's protocol, and files called by numbers."""

from semamb_mm.formats.layout_300vw import SPLITS, broken_frames, numbered_files


def test_the_splits_are_the_papers():
    sizes = {name: len(ids) for name, ids in SPLITS.items()}
    assert sizes == dict(train=50, category1=31, category2=19, category3=14, test=64)
    assert len(set(SPLITS["train"]) | set(SPLITS["test"])) == 114


def test_the_broken_frames_are_the_published_ones():
    broken = broken_frames()
    assert len(broken) == 16 and set(broken) <= set(SPLITS["test"])
    assert sum(map(len, broken.values())) == 2127
    assert {722, 731, 732, 788} & broken["401"] == {722, 731, 788}


def test_numbered_files(tmp_path):
    for name in ("000002.PTS", "000010.pts", "frame3.pts", "000004.txt", ".pts"):
        (tmp_path / name).touch()
    found = numbered_files(tmp_path, (".pts",))
    assert found == {
        2: str(tmp_path / "000002.PTS"),
        10: str(tmp_path / "000010.pts"),
    }
    assert numbered_files(tmp_path / "absent", (".pts",)) == {}
