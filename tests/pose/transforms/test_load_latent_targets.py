import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader

from tests.pose.augmented import BOX, FLIPS, attach_moved_store, loader_of, make_dataset


def test_heatmaps_are_centred_on_the_latent_targets():
    dataset = make_dataset(FLIPS[0], BOX)
    attach_moved_store(dataset)
    sample = dataset[0]["data_samples"]
    placed = sample.gt_instances.transformed_keypoints[0] / 2
    inside = ((placed > 0) & (placed < [47, 31])).all(-1)
    weights = (sample.gt_instance_labels.keypoint_weights[0].numpy() > 0) & inside
    heatmaps = sample.gt_fields.heatmaps
    assert weights.sum() > 20
    for k in np.flatnonzero(weights):
        y, x = divmod(int(heatmaps[k].argmax()), heatmaps.shape[-1])
        assert abs(x - placed[k, 0]) <= 0.51 and abs(y - placed[k, 1]) <= 0.51


def test_without_a_store_the_annotation_passes_through():
    dataset = make_dataset()
    sample = dataset[0]["data_samples"]
    expected = dataset.get_data_info(0)["keypoints"]
    assert np.array_equal(sample.gt_instances.keypoints, expected)
    assert "latent_index" not in sample.gt_instances


def test_invisible_landmarks_keep_their_annotation():
    dataset = make_dataset()
    store = attach_moved_store(dataset)
    store.visible[0, 5] = False
    keypoints = dataset[0]["data_samples"].gt_instances.latent_keypoints[0]
    assert np.array_equal(keypoints[5], store.annotations[0, 5].numpy())
    assert np.array_equal(keypoints[6], store.targets[0, 6].numpy())


def test_unknown_sample_is_named():
    dataset = make_dataset()
    store = attach_moved_store(dataset)
    store.index.pop("synthetic/seed0/000001")
    with pytest.raises(KeyError, match="synthetic/seed0/000001"):
        dataset[1]


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_persistent_workers_see_what_the_main_process_writes(context):
    dataset = make_dataset(num_samples=2)
    store = attach_moved_store(dataset)
    loader = DataLoader(
        dataset,
        batch_size=2,
        num_workers=1,
        persistent_workers=True,
        multiprocessing_context=context,
        collate_fn=pseudo_collate,
    )
    for value in (10.0, 20.0):
        store.targets.fill_(value)
        batch = next(iter(loader))
        latent = batch["data_samples"][1].gt_instances.latent_keypoints
        assert (latent == value).all()


def test_augmentation_depends_on_seed_epoch_and_sample_only():
    dataset = make_dataset(dict(type="RandomFlip", direction="horizontal"), BOX)
    store = attach_moved_store(dataset)

    def scales(order):
        return {i: dataset[i]["data_samples"].metainfo["input_scale"][0] for i in order}

    store.clock = (5, 1)
    first = scales([0, 1, 2])
    assert scales([2, 0, 1]) == first
    assert len(set(first.values())) == 3
    store.clock = (5, 2)
    assert scales([0])[0] != first[0]
    store.clock = (6, 1)
    assert scales([0])[0] != first[0]
    loader_of(dataset).reseed = False
    store.clock = (5, 1)
    np.random.seed(0)
    assert scales([0])[0] != scales([0])[0]
