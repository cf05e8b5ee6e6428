import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

import semamb_mm.pretrain  # noqa: F401


def build(**options):
    torch.manual_seed(0)
    cfg = dict(type="OSMCAAHead", num_classes=3, in_channels=8)
    return MODELS.build(dict(cfg, **options))


def batch(labels=(0, 1, 2, 0, 1, 2)):
    feats = (torch.randn(len(labels), 8, generator=torch.Generator().manual_seed(1)),)
    return feats, [DataSample().set_gt_label(label) for label in labels]


def test_embedding_has_length_one_and_scores_are_the_contexts():
    head = build(embedding_channels=5, loss=dict(type="OSMCAALoss", temperature=0.5))
    feats, _ = batch()
    embeddings = head.pre_logits(feats)
    assert embeddings.shape == (6, 5)
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(6))
    torch.testing.assert_close(head(feats), embeddings @ head.context.weight.t() / 0.5)
    assert build().pre_logits(feats).shape == (6, 8)


def test_losses_are_the_parts():
    head = build(cal_acc=True)
    torch.nn.init.normal_(head.context.weight)
    feats, samples = batch()
    losses = head.loss(feats, samples)
    embeddings, labels = head.pre_logits(feats), torch.tensor([0, 1, 2, 0, 1, 2])
    scores = head(feats)
    expected = head.loss_module(embeddings, labels, head.context.weight)
    torch.testing.assert_close(losses["loss_metric"], expected)
    torch.testing.assert_close(
        losses["loss_cls"], torch.nn.functional.cross_entropy(scores, labels)
    )
    attention = scores.softmax(dim=1).gather(1, labels[:, None])
    torch.testing.assert_close(losses["attention_mean"], attention.mean())
    torch.testing.assert_close(
        losses["attention_low_share"], attention.min() / attention.sum()
    )
    assert losses["accuracy_top-1"] == (scores.argmax(1) == labels).float().mean() * 100
    (losses["loss_metric"] + losses["loss_cls"]).backward()
    assert head.context.weight.grad.abs().sum() > 0


def test_it_trains_in_a_stock_classifier():
    model = MODELS.build(
        dict(
            type="ImageClassifier",
            backbone=dict(type="LeNet5"),
            neck=dict(type="GlobalAveragePooling"),
            head=dict(
                type="OSMCAAHead", num_classes=3, in_channels=120, embedding_channels=16
            ),
        )
    )
    _, samples = batch()
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(6, 1, 32, 32, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    totals = []
    for _ in range(30):
        losses = model(images, samples, mode="loss")
        total = losses["loss_metric"] + losses["loss_cls"]
        totals.append(total.item())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert totals[-1] < 0.7 * totals[0]
    predicted = model(images, samples, mode="predict")
    assert predicted[0].pred_score.shape == (3,)


def test_without_attention_nothing_is_logged_of_it():
    losses = build(loss=dict(type="OSMCAALoss", caa=False)).loss(*batch())
    assert sorted(losses) == ["loss_cls", "loss_metric"]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="embedding_channels must be positive"):
        build(embedding_channels=-1)
    with pytest.raises(ValueError, match=r"\[0, 3\)"):
        build().loss(*batch(labels=(0, 3)))
