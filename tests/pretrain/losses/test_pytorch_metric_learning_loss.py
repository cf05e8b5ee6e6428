import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

import semamb_mm.pretrain  # noqa: F401

losses = pytest.importorskip(
    "pytorch_metric_learning.losses", reason="pytorch-metric-learning is not installed"
)
miners = pytest.importorskip("pytorch_metric_learning.miners")


def build(**options):
    return MODELS.build(dict(type="PytorchMetricLearningLoss", **options))


def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(8, 4, generator=generator), torch.arange(8) % 3


def test_loss_and_miner_are_the_librarys():
    embeddings, labels = batch()
    miner = miners.TripletMarginMiner(0.2, type_of_triplets="all")
    expected = losses.TripletMarginLoss(margin=0.2)(
        embeddings, labels, miner(embeddings, labels)
    )
    loss = build(
        loss=dict(type="TripletMarginLoss", margin=0.2),
        miner=dict(type="TripletMarginMiner", margin=0.2, type_of_triplets="all"),
        loss_weight=0.5,
    )
    assert loss(embeddings, labels, context=torch.ones(3, 4)) == 0.5 * expected


def test_proxies_are_trained_in_the_head():
    head = MODELS.build(
        dict(
            type="OSMCAAHead",
            num_classes=3,
            in_channels=4,
            loss=dict(
                type="PytorchMetricLearningLoss",
                loss=dict(type="ProxyAnchorLoss", num_classes=3, embedding_size=4),
            ),
        )
    )
    features, labels = batch()
    samples = [DataSample().set_gt_label(int(label)) for label in labels]
    found = head.loss((features,), samples)
    assert sorted(found) == ["loss_cls", "loss_metric"]
    found["loss_metric"].backward()
    assert head.loss_module.loss.proxies.grad.abs().sum() > 0


def test_an_unknown_name():
    with pytest.raises(ValueError, match="has no 'TripletLoss'; it has .*Triplet"):
        build(loss=dict(type="TripletLoss"))
