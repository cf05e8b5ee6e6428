from collections import defaultdict

import pytest

from semamb_mm.pretrain import LPW, MARS
from tests.trees.retrieval import make_lpw, make_mars
from tests.trees.tracklets import by_tracklet


@pytest.mark.parametrize(("data_set", "make"), [(MARS, make_mars), (LPW, make_lpw)])
def test_stride_thins_tracklets(tmp_path, data_set, make):
    root = make(tmp_path, (1, 2, 3)) if data_set is LPW else make(tmp_path, frames=3)
    every, second = data_set(root), data_set(root, tracklet_stride=2)
    (keys, names), (kept_keys, kept) = by_tracklet(every), by_tracklet(second)
    assert kept_keys == keys
    assert kept == {number: images[::2] for number, images in names.items()}
    with pytest.raises(ValueError, match="tracklet_stride must be positive, got 0"):
        data_set(root, tracklet_stride=0)


@pytest.mark.parametrize(("data_set", "make"), [(MARS, make_mars), (LPW, make_lpw)])
def test_val_is_searched_as_the_test_is(tmp_path, data_set, make):
    root = make(tmp_path)
    dataset = data_set(root, split="val", val_share=0.7)
    keys, names = by_tracklet(dataset)
    everything, _ = by_tracklet(data_set(root))
    persons = defaultdict(list)
    for number, (person, camera, role) in keys.items():
        persons[person].append(role)
        label = everything[number][0]
        kept = dataset.metainfo["classes"][person - 1]
        assert data_set(root).metainfo["classes"][label] == kept
        assert everything[number][1] == camera
    assert sorted(persons) == list(range(1, len(dataset.metainfo["classes"]) + 1))
    assert all(roles.count("query") == 1 for roles in persons.values())
    left = data_set(root, split="train_only", val_share=0.7)
    assert sum(map(len, names.values())) + len(left) == len(data_set(root))
    assert sorted(set(left.get_gt_labels())) == list(
        range(len(left.metainfo["classes"]))
    )
