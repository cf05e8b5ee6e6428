"""Zero-shot retrieval of small images, trained in seconds: what label_noise runs.

The images of a split are one tensor, and the augmentation works on whole batches. The
head, its losses, the sampler and the scores are the package's own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from semamb_mm.functional import caa_scores
from semamb_mm.metric_learning import PKSampler, retrieval_scores
from semamb_mm.pretrain.datasets import OmniglotRetrieval

SIZE = 28
CLASSES_PER_BATCH, IMAGES_PER_CLASS = 32, 4
WARM_UP = 50  # iterations


@dataclass(frozen=True)
class Images:
    """Images of one split.

    Attributes:
        pixels: ``(n, 1, 28, 28)`` in [0, 1].
        labels: ``(n,)``, what is trained on.
        wrong: ``(n,)`` bool, which labels are wrong.
    """

    pixels: Tensor
    labels: Tensor
    wrong: Tensor


def read_images(data_root: str, version: str, split: str, **noise) -> Images:
    """Read a split of a folder of Omniglot's layout.

    Args:
        data_root: The folder; its pixels are read once and kept.
        version: ``small`` or ``full``, see ``OmniglotRetrieval``.
        split: The same.
        **noise: ``label_noise``, ``noise_kind`` and ``noise_seed`` of it.
    """
    dataset = OmniglotRetrieval(
        data_root, version=version, split=split, pipeline=[], **noise
    )
    labels = torch.from_numpy(dataset.get_gt_labels())
    infos = map(dataset.get_data_info, range(len(dataset)))
    true = torch.tensor([info.get("true_label", info["gt_label"]) for info in infos])
    return Images(_pixels(data_root, version, split), labels, labels != true)


@cache
def _pixels(data_root: str, version: str, split: str) -> Tensor:
    dataset = OmniglotRetrieval(
        data_root,
        version=version,
        split=split,
        pipeline=[
            dict(type="LoadImageFromFile", color_type="grayscale"),
            dict(type="Resize", scale=SIZE, interpolation="area"),
        ],
    )
    images = [dataset[i]["img"] for i in range(len(dataset))]
    return torch.from_numpy(np.stack(images))[:, None].float() / 255


@MODELS.register_module()
class SmallConvNet(nn.Sequential):
    """Four convolutions of stride 2 for 28 pixels, and the mean over what is left.

    Args:
        channels (sequence of int): Of each convolution.
    """

    def __init__(self, channels: Sequence[int] = (16, 32, 64, 64)) -> None:
        layers: list[nn.Module] = []
        for before, after in zip((1, *channels), channels):
            layers += [
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def augment(pixels: Tensor) -> Tensor:
    """Return a batch turned, sheared and shifted, each image in its own way.

    By at most 15 degrees, 0.2 and a tenth of the image.
    """
    count = len(pixels)
    angle, shear = (torch.rand(2, count) * 2 - 1) * torch.tensor(
        [[math.radians(15)], [0.2]]
    )
    shift = (torch.rand(2, count) * 2 - 1) * 0.2  # the image's side is 2
    cos, sin = angle.cos(), angle.sin()
    rows = torch.stack(
        (cos, cos * shear - sin, shift[0], sin, sin * shear + cos, shift[1])
    )
    grid = F.affine_grid(rows.t().reshape(count, 2, 3), pixels.shape, False)
    return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)


def train(
    model_config: Mapping,
    images: Images,
    lr: float,
    epochs: int,
    seed: int,
) -> nn.Module:
    """Train a retriever of a config by AdamW, warmed up and then on half a cosine.

    Args:
        model_config: An ``EmbeddingRetriever`` whose images are not normalised again.
        images: To train on.
        lr: The highest learning rate.
        epochs: Every one shows as many images as there are.
        seed: Of weights, batches and augmentation.
    """
    torch.manual_seed(seed)
    model = MODELS.build(deepcopy(dict(model_config)))
    model.init_weights()
    model.to(memory_format=torch.channels_last)
    pixels = images.pixels.contiguous(memory_format=torch.channels_last)
    labels = images.labels
    samples = [DataSample().set_gt_label(int(label)) for label in labels]
    sampler = PKSampler(labels, CLASSES_PER_BATCH, IMAGES_PER_CLASS, seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr, weight_decay=0.01)
    total = epochs * sampler.num_batches
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda i: (
            min(1, (i + 1) / WARM_UP)
            * (0.01 + 0.99 * (1 + math.cos(math.pi * i / total)) / 2)
        ),
    )
    model.train()
    for epoch in range(epochs):
        sampler.epoch = epoch
        for batch in torch.tensor(list(sampler)).split(sampler.batch_size):
            losses = model.loss(augment(pixels[batch]), [samples[i] for i in batch])
            loss = sum(value for name, value in losses.items() if "loss" in name)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            scheduler.step()
    return model.eval()


@torch.no_grad()
def embed(model: nn.Module, images: Images) -> Tensor:
    """Return embeddings ``(n, D)``."""
    return torch.cat([model.extract_feat(part) for part in images.pixels.split(512)])


def scores(model: nn.Module, images: Images) -> dict[str, float]:
    """Return the scores of the images searched in themselves."""
    return retrieval_scores(embed(model, images), images.labels, topk=(1,))


def retriever(config: Config, num_classes: int, head: Mapping) -> dict:
    """Return the model of a config with the small network and changes to its head."""
    model = config.model.to_dict()
    model["data_preprocessor"] = None
    model["image_encoder"] = [dict(type="SmallConvNet")]
    config = Config(dict(model=model))
    config.merge_from_dict(dict(model=dict(head=dict(head, num_classes=num_classes))))
    return config.model.to_dict()


@torch.no_grad()
def attention(model: nn.Module, images: Images) -> Tensor:
    """Return the class-aware attention ``(n,)`` of images to their labels."""
    return caa_scores(
        embed(model, images),
        model.head.context.weight,
        images.labels,
        temperature=model.head.temperature,
    )
