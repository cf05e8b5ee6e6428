import pytest
from mmpretrain.registry import DATASETS

from semamb_mm.pretrain import LPW
from tests.trees.retrieval import make_lpw
from tests.trees.tracklets import by_tracklet


def test_lpw_trains_on_scenes_2_and_3(tmp_path):
    dataset = LPW(make_lpw(tmp_path))
    keys, names = by_tracklet(dataset)
    assert dataset.metainfo["classes"] == ("scen2/7", "scen2/8", "scen3/7", "scen3/9")
    assert list(keys.values()) == [
        (0, 21, None),
        (1, 21, None),
        (0, 24, None),
        (2, 33, None),
        (3, 33, None),
    ]
    assert names[0] == ["2.jpg", "9.jpg", "10.jpg"]


def test_lpw_tests_on_scene_1(tmp_path):
    dataset = DATASETS.build(
        dict(type="LPW", data_root=make_lpw(tmp_path), split="test")
    )
    keys, _ = by_tracklet(dataset)
    assert sorted(keys.values()) == [
        (1, 11, "gallery"),
        (1, 12, "query"),
        (2, 11, "gallery"),
        (2, 12, "query"),
        (3, 12, "query"),
        (3, 13, "gallery"),
    ]


def test_lpw_names_what_is_wrong(tmp_path):
    root = make_lpw(tmp_path)
    (tmp_path / "scen2/view1/99").mkdir()
    with pytest.raises(ValueError, match="view1/99: expected the .jpg frames"):
        LPW(root)
    (tmp_path / "scen2/view1/99").rename(tmp_path / "scen2/view1/someone")
    with pytest.raises(ValueError, match="view1/someone: expected a folder named <num"):
        LPW(root)
    (tmp_path / "scen2").rename(tmp_path / "scene2")
    with pytest.raises(FileNotFoundError, match="scen2; is data_root pep_256x128"):
        LPW(root)
    (tmp_path / "scen2").mkdir()
    with pytest.raises(ValueError, match="scen2: expected folders named view<number>"):
        LPW(root)


def test_lpw_passes_over_hidden_files_and_folders(tmp_path):
    root = make_lpw(tmp_path)
    expected = LPW(root).load_data_list()
    for folder in ("scen2/.git", "scen2/view1/.ipynb_checkpoints", "scen3/__MACOSX"):
        (tmp_path / folder).mkdir()
    (tmp_path / "scen2/view1/7/._2.jpg").write_bytes(b"")
    assert LPW(root).load_data_list() == expected
