import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpretrain.registry import MODELS

from semamb_mm.pretrain.inference import classify_dataset, embed_dataset

from .retrievers.test_embedding_retriever import ENCODER, HEAD, build, samples


def test_a_data_set_is_embedded_in_its_order_and_read(capsys):
    init_default_scope("mmpretrain")
    model = build(data_preprocessor=dict(mean=[0], std=[255])).eval()
    images = torch.randint(0, 256, (5, 1, 32, 32), dtype=torch.uint8)
    given = samples(5)
    dataset = [dict(inputs=i, data_samples=s) for i, s in zip(images, given)]
    embeddings = embed_dataset(model, dataset, batch_size=2)
    expected = model(images.float() / 255, mode="tensor")
    torch.testing.assert_close(embeddings, expected.detach())
    assert "3/3" not in capsys.readouterr().out  # progress is no output


def classifier(**options):
    backbone, neck = ENCODER
    cfg = dict(type="ImageClassifier", backbone=backbone, neck=neck, head=HEAD)
    return MODELS.build(dict(cfg, **options))


@pytest.mark.parametrize("make", [build, classifier])
def test_scores_are_the_head_s(make):
    init_default_scope("mmpretrain")
    model = make(data_preprocessor=dict(mean=[0], std=[255])).eval()
    images = torch.randint(0, 256, (5, 1, 32, 32), dtype=torch.uint8)
    dataset = [dict(inputs=i, data_samples=s) for i, s in zip(images, samples(5))]
    embeddings, scores = classify_dataset(model, dataset, batch_size=2)
    encode = getattr(model, "encode", model.extract_feat)
    with torch.no_grad():
        features = encode(images.float() / 255)
        np.testing.assert_allclose(scores, model.head(features), atol=1e-5)
        np.testing.assert_allclose(
            embeddings, model.head.pre_logits(features), atol=1e-5
        )
