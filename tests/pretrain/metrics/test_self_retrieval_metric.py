"""The scores themselves are tested in tests/metric_learning/test_retrieval.py."""

import numpy as np
import pytest
import torch

from semamb_mm.pretrain import SelfRetrievalMetric
from semamb_mm.pretrain.metrics import self_retrieval_metric as module


def circle(*degrees):
    angles = torch.tensor(degrees).double().deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


def evaluate(embeddings, labels, **kwargs):
    metric = SelfRetrievalMetric(**kwargs)
    samples = [
        dict(embedding=e, gt_label=torch.tensor([label]), img_path=f"{i}.png")
        for i, (e, label) in enumerate(zip(embeddings, labels, strict=True))
    ]
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_hand_computed():
    # Rankings by angle: 0 -> 10(b) 25(a) 60(b); 10 -> 0(a) 25(a) 60(b);
    # 25 -> 10(b) 0(a) 60(b); 60 -> 25(a) 10(b) 0(a).
    scores = evaluate(circle(0, 10, 25, 60), [0, 1, 0, 1], topk=(1, 2, 3))
    assert scores["retrieval/Recall@1"] == 0
    assert scores["retrieval/Recall@2"] == pytest.approx(75)
    assert scores["retrieval/Recall@3"] == pytest.approx(100)
    assert scores["retrieval/mAP"] == pytest.approx(100 * (3 / 2 + 1 / 3) / 4)
    assert scores["retrieval/RP"] == 0


def test_items_choose_the_scores():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    assert set(evaluate(circle(0, 9, 60, 70), [0, 0, 1, 1], items=["nmi"])) == {
        "retrieval/NMI"
    }
    assert set(evaluate(circle(0, 9), [0, 0], items=["mAP"])) == {"retrieval/mAP"}


def test_images_alone_in_their_class_are_logged(monkeypatch):
    lines = []
    monkeypatch.setattr(module, "print_log", lambda text, **_: lines.append(text))
    evaluate(circle(0, 9, 60), [0, 0, 1])
    assert len(lines) == 1
    assert "1 of 3 images are the only ones of their class" in lines[0]


def test_duplicates_are_found_and_scale_does_not_matter():
    embeddings = torch.tensor([[1.0, 0], [7, 0], [0, 1], [0, 3]])
    scores = evaluate(embeddings, [0, 0, 1, 1], topk=1)
    assert scores["retrieval/Recall@1"] == 100


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_bad_embedding_is_named(value):
    embeddings = circle(0, 10, 20)
    embeddings[1] = value
    with pytest.raises(ValueError, match="1.png is zero or not finite"):
        evaluate(embeddings, [0, 0, 0])


def test_bad_options_and_sets():
    with pytest.raises(ValueError, match="accuracy"):
        SelfRetrievalMetric(items=["accuracy"])
    with pytest.raises(ValueError, match="positive"):
        SelfRetrievalMetric(topk=0)
    with pytest.raises(ValueError, match="all of different classes"):
        evaluate(circle(0, 10), [0, 1])
    with pytest.raises(ValueError, match="no 'embedding'"):
        SelfRetrievalMetric().process(None, [dict(gt_label=torch.tensor([0]))])
