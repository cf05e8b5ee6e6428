import pytest
import torch
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample

ENCODER = [
    dict(type="LeNet5"),
    dict(type="GlobalAveragePooling"),
]
HEAD = dict(
    type="OSMCAAHead", num_classes=3, in_channels=120, embedding_channels=8, topk=(1,)
)


def build(**kwargs):
    import semamb_mm.pretrain  # noqa: F401

    torch.manual_seed(0)
    return MODELS.build(
        dict(type="EmbeddingRetriever", image_encoder=ENCODER, head=HEAD, **kwargs)
    )


def samples(count):
    return [DataSample().set_gt_label(i % 3) for i in range(count)]


def test_predictions_carry_the_normalised_embedding():
    model = build().eval()
    images = torch.rand(4, 1, 32, 32)
    given = samples(4)
    predicted = model(images, given, mode="predict")
    embeddings = torch.stack([sample.embedding for sample in predicted])
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(embeddings, model(images, mode="tensor"))
    assert [int(sample.gt_label) for sample in predicted] == [0, 1, 2, 0]
    without = model(images, mode="predict")
    torch.testing.assert_close(without[3].embedding, predicted[3].embedding)


def test_loss_reaches_encoder_and_context():
    model = build()
    losses = model(torch.rand(6, 1, 32, 32), samples(6), mode="loss")
    assert {"loss_metric", "loss_cls"} <= set(losses)
    (losses["loss_metric"] + losses["loss_cls"]).backward()
    assert all(p.grad.abs().sum() > 0 for p in model.image_encoder.parameters())
    assert model.head.context.weight.grad.abs().sum() > 0


def test_prototype_matches_as_in_the_stock_retriever():
    prototype = torch.nn.functional.normalize(torch.randn(5, 8))
    model = build(prototype=prototype).eval()
    sample = model(torch.rand(1, 1, 32, 32), samples(1), mode="predict")[0]
    torch.testing.assert_close(sample.pred_score, prototype @ sample.embedding)
    assert sample.pred_label[0] == sample.pred_score.argmax()


def test_head_without_embedding_is_refused():
    from mmengine.model import BaseModule

    class Headless(BaseModule):
        pass

    from semamb_mm.pretrain import EmbeddingRetriever

    with pytest.raises(ValueError, match="Headless has none"):
        EmbeddingRetriever(ENCODER, Headless())
