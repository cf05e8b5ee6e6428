import numpy as np
import pytest
from mmpretrain.registry import DATASETS
from scipy.io import savemat

from semamb_mm.pretrain import MARS
from tests.trees.retrieval import make_mars
from tests.trees.tracklets import by_tracklet


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
