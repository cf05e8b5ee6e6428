"""A stock pipeline becomes one with latent targets."""

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmpose.registry import DATASETS

from semamb_mm.pose.hooks.train_pipeline import prepare_pipeline
from semamb_mm.pose.latent_targets import build_store
from semamb_mm.pose.transforms import LoadLatentTargets
from tests.pose.conftest import CODEC, tiny_config


def stock_pipeline(tmp_path):
    """As MMPose's configs have it: no LoadLatentTargets, Gaussians on whole cells."""
    steps = tiny_config(tmp_path).train_dataloader.dataset.pipeline
    codec = dict(CODEC, unbiased=False)
    steps = [dict(s, encoder=codec) if "encoder" in s else s for s in steps]
    return [s for s in steps if s["type"] != "LoadLatentTargets"]


def build(dataset):
    return DATASETS.build(Config(dict(dataset=dataset)).dataset)


def faces(pipeline, **options):
    return dict(
        type="SyntheticFaceDataset",
        num_samples=2,
        image_size=64,
        pipeline=pipeline,
        **options,
    )


@pytest.mark.parametrize("wrapper", ["plain", "repeated", "combined", "concatenated"])
def test_stock_pipelines_load_targets(tmp_path, wrapper):
    steps = stock_pipeline(tmp_path)
    meta = dict(from_file="configs/_base_/datasets/300w.py")
    parts = [dict(p, seed=i) for i, p in enumerate([faces(steps), faces(steps)])]
    dataset = build(
        dict(
            plain=faces(steps),
            repeated=dict(type="RepeatDataset", times=2, dataset=faces(steps)),
            combined=dict(
                type="CombinedDataset",
                metainfo=meta,
                pipeline=steps,
                datasets=[dict(part, pipeline=[]) for part in parts],
            ),
            concatenated=dict(type="ConcatDataset", datasets=parts),
        )[wrapper]
    )
    loaders, affine = prepare_pipeline(dataset)
    assert type(affine).__name__ == "TopdownAffine"
    store = build_store(dataset)
    store.targets += 3
    for loader in loaders:
        loader.connect(store)
    instances = dataset[len(dataset) - 1]["data_samples"].gt_instances
    moved = instances.latent_keypoints - instances.annotated_keypoints
    np.testing.assert_allclose(moved, 3, atol=1e-4)
    assert len(prepare_pipeline(dataset)[0]) == len(loaders)  # and not once more


def test_targets_move_by_parts_of_a_cell(tmp_path):
    dataset = build(faces(stock_pipeline(tmp_path)))
    loaders, _ = prepare_pipeline(dataset)
    store = build_store(dataset)
    loaders[0].connect(store)

    def heatmaps():
        return dataset[0]["data_samples"].gt_fields.heatmaps

    before = heatmaps()
    store.targets += 0.1
    assert (heatmaps() != before).any(-1).any(-1).all()


def test_a_loader_in_the_config_stays_where_it_is(tmp_path):
    steps = tiny_config(tmp_path).train_dataloader.dataset.pipeline
    dataset = build(faces(steps))
    prepare_pipeline(dataset)
    places = [
        i
        for i, step in enumerate(dataset.pipeline.transforms)
        if isinstance(step, LoadLatentTargets)
    ]
    assert places == [2]  # after LoadImage and what tells the row


def test_what_cannot_be_prepared_is_refused(tmp_path):
    steps = [s for s in stock_pipeline(tmp_path) if s["type"] != "TopdownAffine"]
    with pytest.raises(ValueError, match="TopdownAffine"):
        prepare_pipeline(build(faces(steps)))

    class Bare:
        """A data set that makes its samples itself."""

    with pytest.raises(ValueError, match="Bare has no pipeline.*LoadLatentTargets"):
        prepare_pipeline(Bare())


def test_what_leads_back_to_the_image_is_packed(tmp_path):
    steps = tiny_config(tmp_path).train_dataloader.dataset.pipeline
    steps[-1]["meta_keys"] = ("id", "img_path", "input_size")
    dataset = build(faces(steps))
    prepare_pipeline(dataset)
    loader = next(
        s for s in dataset.pipeline.transforms if isinstance(s, LoadLatentTargets)
    )
    loader.connect(build_store(dataset))
    meta = dataset[0]["data_samples"].metainfo
    assert {"input_center", "input_scale", "img_shape", "flip_indices"} <= set(meta)
    assert tuple(steps[-1]["meta_keys"]) == ("id", "img_path", "input_size")


@pytest.mark.parametrize("place", ["combined", "leaf"])
def test_two_roots_with_equal_names_and_other_mark_ups(tmp_path, place):
    """MMPose's recipe for several data sets: converters in the leaves' pipelines."""
    steps = stock_pipeline(tmp_path)
    swap = [(i, 67 - i) for i in range(68)]
    convert = dict(type="KeypointConverter", num_keypoints=68, mapping=swap)
    load = dict(type="LoadLatentTargets")
    inner = [load] if place == "leaf" else []
    outer = steps if inner else [steps[0], load, *steps[1:]]
    dataset = build(
        dict(
            type="CombinedDataset",
            metainfo=dict(from_file="configs/_base_/datasets/300w.py"),
            pipeline=outer,
            datasets=[faces(inner), faces([convert, *inner])],
        )
    )
    loaders, _ = prepare_pipeline(dataset)
    store = build_store(dataset)
    assert store.keys[2:] == [f"1:{key}" for key in store.keys[:2]]
    assert torch.equal(store.annotations[2:], store.annotations[:2].flip(1))
    store.targets += torch.arange(4.0)[:, None, None]
    for loader in loaders:
        loader.connect(store)
    for row in range(4):
        instances = dataset[row]["data_samples"].gt_instances
        assert instances.latent_index.tolist() == [row]
        found = instances.latent_keypoints[0]
        np.testing.assert_array_equal(found, store.targets[row].numpy())
