import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from mmpose.registry import TRANSFORMS
from torch.utils.data import DataLoader

from semamb_mm.pose.hooks.train_pipeline import prepare_pipeline
from semamb_mm.pose.latent_targets.samples import build_store
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
    store.shared.key_ids[1] += 1
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

    store.shared.clock = (5, 1)
    first = scales([0, 1, 2])
    assert scales([2, 0, 1]) == first
    assert len(set(first.values())) == 3
    store.shared.clock = (5, 2)
    assert scales([0])[0] != first[0]
    store.shared.clock = (6, 1)
    assert scales([0])[0] != first[0]
    store.shared.clock = (5, 1)
    store.shared.view = (1, None)
    again = scales([0, 1])
    assert all(again[i] != first[i] for i in again) and scales([0, 1]) == again
    store.shared.view = (0, 1)  # fetched ahead of the clock, in an iteration-based loop
    store.shared.clock = (5, 0)
    assert scales([0])[0] == first[0]
    store.shared.view = (0, None)
    loader_of(dataset).reseed = False
    store.shared.clock = (5, 1)
    np.random.seed(0)
    assert scales([0])[0] != scales([0])[0]


def test_generators_of_albumentations_are_seeded_anew():
    class Compose:
        seeds: list = []

        def set_random_seed(self, seed):
            self.seeds.append(seed)

    dataset = make_dataset()
    store = attach_moved_store(dataset)
    loader_of(dataset).augmenters = [Compose()]
    for clock, index in (((5, 1), 0), ((5, 1), 0), ((5, 2), 0), ((5, 1), 1)):
        store.shared.clock = clock
        dataset[index]
    first, again, *others = Compose.seeds
    assert first == again and len({first, *others}) == 3


def moved(results):
    results["keypoints"] = results["keypoints"] + 3.0
    return results


def fewer(results):
    results["keypoints"] = results["keypoints"][:, 1:]
    return results


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (moved, r"'synthetic/seed0/000001': landmark \d+ is at \[.*annotated at \["),
        (fewer, "'synthetic/seed0/000001' has 67 landmarks.* gave 68"),
    ],
)
def test_landmarks_that_moved_before_are_refused(change, message):
    dataset = make_dataset()
    loaders, _ = prepare_pipeline(dataset)
    loaders[0].connect(build_store(dataset))
    steps = dataset.pipeline.transforms
    steps.insert(steps.index(loaders[0]), change)
    with pytest.raises(ValueError, match=f"{message}.*right after LoadImage"):
        dataset[1]


def test_a_converter_before_is_part_of_the_store():
    dataset = make_dataset()
    swap = [(i, 67 - i) for i in range(68)]
    steps = dataset.pipeline.transforms
    converter = TRANSFORMS.build(
        dict(type="KeypointConverter", num_keypoints=68, mapping=swap)
    )
    steps.insert(0, converter)
    loaders, _ = prepare_pipeline(dataset)
    store = build_store(dataset)
    loaders[0].connect(store)
    raw = dataset.get_data_info(0)["keypoints"][0]
    assert np.array_equal(store.annotations[0].numpy(), raw[::-1])
    store.targets[0] += 1
    instances = dataset[0]["data_samples"].gt_instances
    assert np.array_equal(instances.latent_keypoints[0], raw[::-1] + 1)
    order = [steps.index(step) for step in (converter, loaders[0])]
    assert order == sorted(order)
