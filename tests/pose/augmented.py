"""Procedural faces under augmentations, with latent targets that have moved."""

import torch
from mmpose.registry import DATASETS

from semamb_mm.pose.latent_targets.samples import build_store


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
    loader_of(dataset).connect(store)
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
