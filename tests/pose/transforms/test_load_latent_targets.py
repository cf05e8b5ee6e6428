import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmpose.registry import DATASETS, TRANSFORMS
from torch.utils.data import DataLoader

from semamb_mm.pose.latent_targets.samples import build_store
from semamb_mm.pose.latent_targets.warp import check_warp, input_warp


def make_dataset(*augmentation, use_udp=False, codec=None, num_samples=4):
    codec = codec or dict(
        type="MSRAHeatmap",
        input_size=(96, 64),
        heatmap_size=(48, 32),
        sigma=1.5,
        unbiased=True,
    )
    return DATASETS.build(
        dict(
            type="SyntheticFaceDataset",
            num_samples=num_samples,
            image_size=80,
            pipeline=[
                dict(type="LoadImage"),
                dict(type="LoadLatentTargets"),
                dict(type="GetBBoxCenterScale"),
                *augmentation,
                dict(
                    type="TopdownAffine",
                    input_size=codec["input_size"],
                    use_udp=use_udp,
                ),
                dict(type="GenerateTarget", encoder=codec),
                dict(type="PackPoseInputs"),
            ],
        )
    )


def loader_of(dataset):
    return next(
        t
        for t in dataset.pipeline.transforms
        if type(t).__name__ == "LoadLatentTargets"
    )


def attach_moved_store(dataset):
    """A store whose targets differ from the annotations by several pixels."""
    store = build_store(dataset)
    noise = torch.randn(store.targets.shape, generator=torch.Generator().manual_seed(0))
    store.targets.add_(4 * noise)
    loader_of(dataset).store = store
    return store


FLIPS = [
    dict(type="RandomFlip", prob=1.0, direction=direction)
    for direction in ("horizontal", "vertical", "diagonal")
]
BOX = dict(
    type="RandomBBoxTransform",
    shift_factor=0.2,
    shift_prob=1.0,
    rotate_factor=60,
    rotate_prob=1.0,
    scale_factor=(0.6, 1.6),
)
UDP = dict(type="UDPHeatmap", input_size=(96, 64), heatmap_size=(48, 32), sigma=2)


@pytest.mark.parametrize("use_udp", [False, True])
@pytest.mark.parametrize(
    "augmentation", [[], [BOX], *([f] for f in FLIPS), *([f, BOX] for f in FLIPS)]
)
def test_warp_and_inverse_are_the_identity(augmentation, use_udp):
    dataset = make_dataset(
        *augmentation, use_udp=use_udp, codec=UDP if use_udp else None
    )
    store = attach_moved_store(dataset)
    codec = dataset.pipeline.transforms[-2].encoder
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        warp = input_warp(sample, use_udp=use_udp)
        check_warp(warp, sample)
        placed = sample.gt_instances.transformed_keypoints[0]
        cells = (placed / codec.scale_factor).astype(np.float32)
        back = warp.to_image(cells * codec.scale_factor)
        assert np.abs(back - store.targets[index].numpy()).max() < 1e-3
        annotated = warp.to_image(warp.to_input(store.annotations[index].numpy()))
        assert np.abs(annotated - store.annotations[index].numpy()).max() < 1e-9


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


def test_another_geometric_transform_is_noticed():
    @TRANSFORMS.register_module(name="ShiftLandmarksForTest", force=True)
    class Shift:
        def __call__(self, results):
            results["keypoints"] = results["keypoints"] + 3
            return results

    dataset = make_dataset(dict(type="ShiftLandmarksForTest"))
    attach_moved_store(dataset)
    sample = dataset[0]["data_samples"]
    with pytest.raises(RuntimeError, match="synthetic://.*RandomFlip"):
        check_warp(input_warp(sample), sample)


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
