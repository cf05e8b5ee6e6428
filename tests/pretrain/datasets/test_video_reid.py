"""MARS and LPW."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from mmpretrain.registry import DATASETS
from scipy.io import savemat

from semamb_mm.pretrain import LPW, MARS
from tests.trees.retrieval import make_lpw, make_mars


def by_tracklet(dataset):
    """(label, camera, role) and image names of every tracklet."""
    names, keys = defaultdict(list), {}
    for i in range(len(dataset)):
        info = dataset.get_data_info(i)
        assert Path(info["img_path"]).is_file()
        key = (info["gt_label"], info["camera_id"], info.get("role"))
        assert keys.setdefault(info["tracklet_id"], key) == key
        names[info["tracklet_id"]].append(Path(info["img_path"]).name)
    return keys, names


def test_mars_training_labels_count_from_0(tmp_path):
    dataset = DATASETS.build(dict(type="MARS", data_root=make_mars(tmp_path)))
    keys, names = by_tracklet(dataset)
    assert dataset.metainfo["classes"] == ("0001", "0003", "0005")
    persons_and_cameras = [(0, 1), (0, 1), (0, 2), (1, 1), (1, 6), (2, 2)]
    assert list(keys.values()) == [(*pair, None) for pair in persons_and_cameras]
    assert names[4] == ["0003C6T0005F001.jpg", "0003C6T0005F002.jpg"]


def test_mars_test_keeps_distractors_and_drops_junk(tmp_path):
    dataset = MARS(make_mars(tmp_path), split="test")
    assert dataset.test_mode
    keys, names = by_tracklet(dataset)
    assert keys == {
        1: (0, 1, "gallery"),
        2: (2, 1, "query"),
        3: (2, 3, "query"),
        4: (2, 3, "gallery"),
        5: (4, 2, "query"),
        6: (4, 5, "gallery"),
    }
    assert all(len(images) == 2 for images in names.values())


def test_mars_names_what_is_wrong(tmp_path):
    root = make_mars(tmp_path)
    info = tmp_path / "info"
    savemat(info / "query_IDX.mat", dict(query_IDX=[[3, 8]]))
    with pytest.raises(ValueError, match="query_IDX.mat: query 8 .* 7 of tracks_test"):
        MARS(root, split="test")
    savemat(info / "query_IDX.mat", dict(query_IDX=[[2]]))
    with pytest.raises(ValueError, match="query 2 is not the number of a person's"):
        MARS(root, split="test")
    (info / "query_IDX.mat").unlink()
    with pytest.raises(FileNotFoundError, match="query_IDX.mat"):
        MARS(root, split="test")

    table = info / "tracks_train_info.mat"
    savemat(table, dict(track_train_info=[[1, 2, 1, 2]]))
    with pytest.raises(ValueError, match="tracklet 1 is person 1, camera 2; .*C1T0001"):
        MARS(root)
    savemat(table, dict(track_train_info=[[11, 13, 5, 2]]))
    with pytest.raises(
        ValueError, match="images 11 to 13; .*train_name.txt has 1 to 12"
    ):
        MARS(root)
    savemat(table, dict(track_train_info=np.ones((2, 3))))
    with pytest.raises(ValueError, match="tracks_train_info.mat: .* 4 column"):
        MARS(root)
    savemat(table, dict(track_train_info=[[1.5, 2, 1, 1]]))
    with pytest.raises(ValueError, match="tracks_train_info.mat: .* whole numbers"):
        MARS(root)
    table.write_text("not found")
    with pytest.raises(ValueError, match="tracks_train_info.mat is not a whole Matlab"):
        MARS(root)
    (info / "train_name.txt").write_bytes(bytes(range(128, 256)))
    savemat(table, dict(track_train_info=[[1, 1, 1, 1]]))
    with pytest.raises(ValueError, match="person 1, camera 1; .*train_name.txt has"):
        MARS(root)
    (info / "train_name.txt").unlink()
    with pytest.raises(FileNotFoundError, match="train_name.txt"):
        MARS(root)


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


@pytest.mark.parametrize(("data_set", "make"), [(MARS, make_mars), (LPW, make_lpw)])
def test_stride_thins_tracklets(tmp_path, data_set, make):
    root = make(tmp_path, (1, 2, 3)) if data_set is LPW else make(tmp_path, frames=3)
    every, second = data_set(root), data_set(root, tracklet_stride=2)
    (keys, names), (kept_keys, kept) = by_tracklet(every), by_tracklet(second)
    assert kept_keys == keys
    assert kept == {number: images[::2] for number, images in names.items()}
    with pytest.raises(ValueError, match="tracklet_stride must be positive, got 0"):
        data_set(root, tracklet_stride=0)
