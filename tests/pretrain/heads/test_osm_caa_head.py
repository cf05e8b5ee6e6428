import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

import semamb_mm.pretrain  # noqa: F401
from semamb_mm.functional import weighted_contrastive_loss
from semamb_mm.pretrain.heads import osm_caa_head as module


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


def test_the_authors_own_recipe():
    head = build(
        embedding_channels=5,
        loss=dict(type="OSMCAALoss", attention="gaussian", half_exponent=True),
        classifier="features",
        classification_weights=dict(mean=0.5, sigma=0.18),
    )
    torch.nn.init.normal_(head.context.weight)
    torch.nn.init.normal_(head.context.bias)
    feats, samples = batch()
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    losses = head.loss(feats, samples)
    scores = feats[0] @ head.context.weight.t() + head.context.bias
    torch.testing.assert_close(head(feats), scores)
    own = scores.softmax(dim=1)[range(6), labels].detach()
    attention = torch.exp(-((own - 1) ** 2) / (2 * 0.68**2))
    torch.testing.assert_close(
        losses["loss_metric"],
        weighted_contrastive_loss(
            head.pre_logits(feats), labels, attention, sigma=0.8 * 2**0.5
        ),
    )
    weights = torch.exp(-((own - 0.5) ** 2) / (2 * 0.18**2))
    each = torch.nn.functional.cross_entropy(scores, labels, reduction="none")
    torch.testing.assert_close(
        losses["loss_cls"], (weights * each).sum() / weights.sum()
    )
    torch.testing.assert_close(losses["attention_mean"], attention.mean())
    losses["loss_cls"].backward()
    assert head.context.bias.grad.abs().sum() > 0


def test_images_without_a_partner_are_counted_once(monkeypatch):
    told = []
    monkeypatch.setattr(module, "print_log", lambda text, **_: told.append(text))
    head = build()
    head.loss(*batch(labels=(0, 0, 1, 1)))
    assert not told
    head.loss(*batch(labels=(0, 0, 1, 2)))
    head.loss(*batch(labels=(0, 1, 2)))
    assert len(told) == 1
    assert "2 of 4 images of this batch" in told[0]
    assert "num_classes_per_batch * num_samples_per_class" in told[0]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="'context', 'features'"):
        build(classifier="embedding")
    with pytest.raises(ValueError, match="no temperature, got 0.1"):
        build(classifier="features", temperature=0.1)
    with pytest.raises(ValueError, match="sigma must be positive"):
        build(classification_weights=dict(mean=0.5, sigma=0))
    with pytest.raises(ValueError, match="embedding_channels must be positive"):
        build(embedding_channels=-1)
    with pytest.raises(ValueError, match=r"\[0, 3\)"):
        build().loss(*batch(labels=(0, 3)))


@pytest.mark.parametrize("classifier", ["context", "features"])
def test_features_of_another_shape_are_named(classifier):
    head = build(classifier=classifier)
    maps = (torch.rand(6, 8, 7, 7),)
    with pytest.raises(
        ValueError, match=r"got \(6, 8, 7, 7\); pool them: a neck, such"
    ):
        head.loss(maps, batch()[1])
    with pytest.raises(ValueError, match=r"\(B, 8\), got \(6, 5\); set in_channels"):
        head((torch.rand(6, 5),))


@pytest.mark.parametrize("caa", [True, False])
def test_labels_beyond_the_classes_are_named(caa):
    head = build(loss=dict(type="OSMCAALoss", caa=caa))
    with pytest.raises(ValueError, match=r"num_classes=3.*\[0, 3\), got 0 to 3"):
        head.loss(*batch(labels=(0, 1, 3)))
