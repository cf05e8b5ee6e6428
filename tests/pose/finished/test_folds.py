from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmpose.registry import DATASETS

from semamb_mm.pose.finished.folds import (
    assign_folds,
    check_rows,
    groups_of,
    keep_rows,
)
from semamb_mm.pose.latent_targets import keyed_annotations, located_samples


@DATASETS.register_module()
class SixThings(BaseDataset):
    """Things without pictures, of two landmarks each."""

    def __init__(self, name="a", **kwargs):
        self.name = name
        super().__init__(serialize_data=False, **kwargs)

    def load_data_list(self):
        points = [[[1.0, 2.0]] * 2]
        images = [f"{self.name}{i}.jpg" for i in range(6)]
        return [dict(img_path=p, id=i, keypoints=points) for i, p in enumerate(images)]


@DATASETS.register_module()
class AlwaysSix(SixThings):
    """Does not hand its options on."""

    def __init__(self, indices=None):
        super().__init__()


LEAF = dict(type="SixThings")
OTHER = dict(type="SixThings", name="b", indices=4)
NESTED = dict(
    leaf=LEAF,
    repeated=dict(type="RepeatDataset", times=2, dataset=LEAF),
    joined=dict(
        type="ConcatDataset",
        datasets=[dict(type="RepeatDataset", times=3, dataset=OTHER), LEAF],
    ),
    combined=dict(
        type="CombinedDataset",
        metainfo=dict(from_file="configs/_base_/datasets/300w.py"),
        datasets=[LEAF, OTHER],
        pipeline=[],
    ),
    first=dict(LEAF, indices=4),
    last=dict(LEAF, indices=-4),
    some=dict(LEAF, indices=[5, 1, 3, 0]),
)


def opened(dataset):
    """A config with this train data set, its samples and their keys."""
    config = Config(dict(train_dataloader=dict(dataset=dataset)))
    samples = located_samples(DATASETS.build(config.train_dataloader.dataset))
    return config, samples, [key for key, _ in keyed_annotations(samples)]


@given(
    st.lists(st.sampled_from("abcdefgh"), min_size=8, max_size=40),
    st.integers(2, 5),
    st.randoms(use_true_random=False),
)
def test_folds_keep_groups_together_whatever_the_order(names, number, random):
    groups = [*"abcdefgh", *names]
    folds = assign_folds(groups, number)
    of_group = defaultdict(set)
    for group, fold in zip(groups, folds):
        of_group[group].add(fold)
    assert all(len(found) == 1 for found in of_group.values())
    assert set(folds) == set(range(number))
    # No fold is larger than the smallest one by more than the largest group.
    largest = max(groups.count(group) for group in of_group)
    sizes = [folds.count(fold) for fold in range(number)]
    assert max(sizes) - min(sizes) <= largest
    order = list(range(len(groups)))
    random.shuffle(order)
    again = assign_folds([groups[i] for i in order], number)
    assert again == [folds[i] for i in order]


@pytest.mark.parametrize("number", [1, 3])
def test_folds_that_cannot_be_are_refused(number):
    with pytest.raises(ValueError, match=f"{number} folds of 2 groups"):
        assign_folds(["a", "b", "a"], number)


def test_groups_come_from_the_sample_its_annotation_or_a_file():
    infos = [
        dict(img_path="a.jpg", raw_ann_info=dict(patient=7)),
        dict(img_path="b.jpg", raw_ann_info=dict(patient=7)),
    ]
    assert groups_of(["x", "y"], infos) == ["a.jpg", "b.jpg"]
    frames = [dict(info, sequence_id=5) for info in infos]
    assert groups_of(["x", "y"], frames) == ["5", "5"]  # of one video
    assert groups_of(["x", "y"], frames, "img_path") == ["a.jpg", "b.jpg"]
    assert groups_of(["x", "y"], [infos[0], {}]) == ["a.jpg", "y"]
    assert groups_of(["x", "y"], infos, "patient") == ["7", "7"]
    assert groups_of(["x", "y"], infos, given=dict(y=1, x="m")) == ["m", "1"]
    with pytest.raises(ValueError, match="'x' has no 'video'.*'img_path', 'patient'"):
        groups_of(["x", "y"], infos, "video")
    with pytest.raises(ValueError, match="the groups lack sample 'y'"):
        groups_of(["x", "y"], infos, given=dict(x=1))


@pytest.mark.parametrize("name", NESTED)
def test_rows_are_kept_under_any_wrapper(name):
    config, samples, keys = opened(NESTED[name])
    before = str(config)
    rows = [row for row in range(len(keys)) if row % 3 != 1]
    some = keep_rows(config, samples, rows)
    assert str(config) == before
    _, _, kept = opened(some.train_dataloader.dataset)
    assert kept == [keys[row] for row in rows]
    check_rows(some, kept)


def test_a_file_of_suspects_may_be_of_all_samples():
    config, samples, _ = opened(NESTED[next(iter(NESTED))])
    suspects = dict(file="suspects.csv")
    config.custom_hooks = [dict(type="LatentTargetHook", suspects=suspects)]
    some = keep_rows(config, samples, [0])
    assert some.custom_hooks[0].suspects == dict(suspects, subset=True)
    assert config.custom_hooks[0].suspects == suspects


def test_a_data_set_that_does_not_heed_indices_is_named():
    config, samples, keys = opened(dict(type="AlwaysSix"))
    some = keep_rows(config, samples, [0, 2])
    with pytest.raises(ValueError, match="AlwaysSix gives 6 samples where 2 were"):
        check_rows(some, [keys[0], keys[2]])
