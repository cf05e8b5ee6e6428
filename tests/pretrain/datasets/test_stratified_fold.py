import numpy as np
import pytest
from mmpretrain.registry import DATASETS

from semamb_mm.pretrain import MARS
from tests.trees.retrieval import make_cub, make_mars


def sides(dataset, count):
    """Indices of every fold, and of what is left without it."""
    for fold in range(count):
        cfg = dict(type="StratifiedFoldDataset", dataset=dataset, num_splits=count)
        yield (
            DATASETS.build(dict(cfg, fold=fold, test_mode=True)),
            DATASETS.build(dict(cfg, fold=fold)),
        )


def test_folds_divide_the_set_and_every_class(tmp_path):
    root = make_cub(tmp_path, classes=6, per_class=7)
    dataset = dict(type="CUBRetrieval", data_root=root)
    everything = []
    for held_out, others in sides(dataset, 3):
        indices = [held_out._get_ori_dataset_idx(i) for i in range(len(held_out))]
        assert len(held_out) == 7 and len(others) == 14
        assert np.bincount(held_out.get_gt_labels()).min() >= 2
        images = {held_out.get_data_info(i)["img_path"] for i in range(7)}
        assert not images & {others.get_data_info(i)["img_path"] for i in range(14)}
        everything += indices
    assert sorted(everything) == list(range(21))


def test_a_tracklet_is_in_one_fold(tmp_path):
    dataset = dict(type="MARS", data_root=make_mars(tmp_path, frames=3))
    assert len(MARS(dataset["data_root"])) == 18
    for held_out, others in sides(dataset, 2):
        tracklets = [
            {part.get_data_info(i)["tracklet_id"] for i in range(len(part))}
            for part in (held_out, others)
        ]
        assert not tracklets[0] & tracklets[1]
        assert len(held_out) + len(others) == 18


def test_a_fold_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="fold is one of 0 to 2, not 3"):
        DATASETS.build(
            dict(type="StratifiedFoldDataset", dataset={}, fold=3, num_splits=3)
        )
