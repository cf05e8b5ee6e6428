"""What all retrieval data sets share: the classes held out of training."""

import pytest

from semamb_mm.pretrain import CUBRetrieval
from semamb_mm.pretrain.datasets.retrieval_dataset import last_groups
from tests.trees.retrieval import make_cub


def names_and_classes(dataset):
    """Image to its class's name."""
    classes = dataset.metainfo["classes"]
    infos = map(dataset.get_data_info, range(len(dataset)))
    return {info["img_path"]: classes[info["gt_label"]] for info in infos}


def test_val_and_train_only_are_the_training_classes(tmp_path):
    root = make_cub(tmp_path, classes=20)
    train, left, held, test = (
        CUBRetrieval(root, split=split)
        for split in ("train", "train_only", "val", "test")
    )
    assert names_and_classes(train) == {
        **names_and_classes(left),
        **names_and_classes(held),
    }
    assert held.metainfo["classes"] == train.metainfo["classes"][-2:]
    assert not set(held.metainfo["classes"]) & set(test.metainfo["classes"])
    assert sorted(set(left.get_gt_labels())) == list(range(8))
    assert sorted(set(held.get_gt_labels())) == [0, 1]
    assert held.test_mode and not left.test_mode
    half = CUBRetrieval(root, split="val", val_share=0.5)
    assert len(half.metainfo["classes"]) == 5
    with pytest.raises(ValueError, match="val_share lies in .0, 1., not 0"):
        CUBRetrieval(root, split="val", val_share=0)


@pytest.mark.parametrize(
    "groups, share, expected",
    [
        (range(10), 0.2, {8, 9}),
        (range(10), 0.001, {9}),
        (range(3), 0.999, {1, 2}),
        ("aaabbbbbbc", 0.2, {"c"}),
        ("aaabbbbccc", 0.6, {"b", "c"}),
    ],
)
def test_the_last_groups_nearest_to_the_share(groups, share, expected):
    assert last_groups(list(groups), share) == expected


def test_one_group_cannot_be_divided():
    with pytest.raises(ValueError, match="two groups of training classes .* has 1"):
        last_groups([3, 3, 3], 0.5)
