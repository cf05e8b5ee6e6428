import numpy as np
import pytest
import torch

from semamb_mm.pretrain import SelfRetrievalMetric
from semamb_mm.pretrain.metrics import self_retrieval_metric
from semamb_mm.pretrain.metrics.self_retrieval_metric import (
    clustering_nmi,
    rankings,
    retrieval_scores,
)


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


def test_r_precision_and_map_with_two_relevant():
    # 0 -> 1(a) 4(b) 9(a) 30(b): R = 2, one of the first two, precisions 1 and 2/3.
    one = retrieval_scores(
        circle(0, 1, 4, 9, 30), torch.tensor([0, 0, 1, 0, 2]), topk=(1,)
    )
    # 1 -> 0(a) 4(b) 9(a): 1, 2/3; 9 -> 4(b) 1(a) 0(a): 1/2, 2/3.
    assert one["mAP"] == pytest.approx(100 * (5 / 6 + 5 / 6 + 7 / 12) / 3)
    assert one["RP"] == pytest.approx(50)
    assert one["queries_without_match"] == 2


def random_set(seed, n=300, classes=20):
    rng = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=rng)
    centers = torch.randn(classes, 16, generator=rng)
    return centers[labels] + 1.5 * torch.randn(n, 16, generator=rng), labels


@pytest.mark.parametrize("seed", [0, 1])
def test_against_pytorch_metric_learning(seed):
    calculators = pytest.importorskip(
        "pytorch_metric_learning.utils.accuracy_calculator",
        reason="pytorch-metric-learning is not installed",
    )
    embeddings, labels = random_set(seed)
    theirs = calculators.AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision"),
        k=len(labels) - 1,
        knn_func=exact_neighbours,
    ).get_accuracy(torch.nn.functional.normalize(embeddings), labels)
    ours = retrieval_scores(embeddings, labels, topk=(1,))
    assert ours["Recall@1"] == pytest.approx(100 * theirs["precision_at_1"])
    assert ours["RP"] == pytest.approx(100 * theirs["r_precision"])
    assert ours["mAP"] == pytest.approx(100 * theirs["mean_average_precision"])


def exact_neighbours(query, k, reference, ref_includes_query):
    distances = torch.cdist(query.double(), reference.double())
    if ref_includes_query:
        distances.fill_diagonal_(torch.inf)
    return distances.topk(k, largest=False)


def test_blocks_change_nothing():
    embeddings, labels = random_set(2)
    whole = retrieval_scores(embeddings, labels, topk=(1, 5))
    assert retrieval_scores(embeddings, labels, topk=(1, 5), block_size=7) == whole


@pytest.mark.parametrize("library", ["faiss", "torch"])
def test_neighbours_are_the_head_of_the_ranking(library, monkeypatch):
    if library == "faiss":
        pytest.importorskip("faiss", reason="faiss is not installed")
    else:
        monkeypatch.setattr(self_retrieval_metric, "faiss", None)
    embeddings, labels = random_set(4)
    whole = retrieval_scores(embeddings, labels, topk=(1, 5))
    head = retrieval_scores(
        embeddings, labels, topk=(1, 5), block_size=50, mean_average_precision=False
    )
    del whole["mAP"]
    assert head == whole
    embeddings[10:14] = embeddings[10]  # may push the query out of the nearest
    for queries, order in rankings(embeddings, 3, block_size=50):
        assert order.shape == (len(queries), 3)
        assert not (order == queries[:, None]).any()
    order = torch.cat([order for _, order in rankings(embeddings, 1)])
    assert set(order[10:14].flatten().tolist()) <= {10, 11, 12, 13}


def test_nmi():
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    embeddings, labels = random_set(3, classes=3)
    apart = torch.eye(3)[labels] + 0.01 * embeddings[:, :3]
    assert clustering_nmi(apart, labels) == pytest.approx(100)
    shuffled = labels[torch.randperm(len(labels))]
    assert clustering_nmi(apart, shuffled) < 20
    assert set(evaluate(apart, labels, items=["nmi"])) == {"retrieval/NMI"}


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
