import sys
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from semamb_mm.metric_learning import (
    clustering_nmi,
    pool_tracklets,
    rankings,
    retrieval,
    retrieval_scores,
    tracklet_scores,
)


def circle(*degrees):
    angles = torch.tensor(degrees).double().deg2rad()
    return torch.stack([angles.cos(), angles.sin()], dim=1)


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
        include=(
            "precision_at_1",
            "r_precision",
            "mean_average_precision",
            "mean_average_precision_at_r",
        ),
        k=len(labels) - 1,
        knn_func=exact_neighbours,
    ).get_accuracy(torch.nn.functional.normalize(embeddings), labels)
    ours = retrieval_scores(embeddings, labels, topk=(1,))
    assert ours["MAP@R"] == pytest.approx(100 * theirs["mean_average_precision_at_r"])
    assert ours["Recall@1"] == pytest.approx(100 * theirs["precision_at_1"])
    assert ours["RP"] == pytest.approx(100 * theirs["r_precision"])
    assert ours["mAP"] == pytest.approx(100 * theirs["mean_average_precision"])


def exact_neighbours(query, k, reference, ref_includes_query):
    distances = torch.cdist(query.double(), reference.double())
    if ref_includes_query:
        distances.fill_diagonal_(torch.inf)
    return distances.topk(k, largest=False)


def test_large_classes_are_sorted_not_counted(monkeypatch):
    embeddings, labels = random_set(5, classes=3)
    monkeypatch.setattr(retrieval, "_COUNTED", 1000)
    counted = retrieval_scores(embeddings, labels, topk=(1, 5))
    monkeypatch.setattr(retrieval, "_COUNTED", 0)
    by_sorting = retrieval_scores(embeddings, labels, topk=(1, 5))
    assert by_sorting == pytest.approx(counted, rel=1e-12)


def test_a_collapsed_embedding_finds_nothing():
    labels = torch.arange(6) % 3
    scores = retrieval_scores(torch.ones(6, 4), labels, topk=(1, 4, 5))
    assert scores["Recall@1"] == scores["Recall@4"] == scores["RP"] == 0
    assert scores["Recall@5"] == 100
    assert scores["mAP"] == pytest.approx(20)


def test_coinciding_images_of_one_class_share_the_ranks():
    embeddings = torch.eye(2)[[0, 0, 0, 1, 1]]
    scores = retrieval_scores(embeddings, torch.tensor([0, 0, 0, 1, 1]), topk=(1,))
    assert scores["Recall@1"] == scores["mAP"] == scores["MAP@R"] == 100


def test_blocks_change_nothing():
    embeddings, labels = random_set(2)
    whole = retrieval_scores(embeddings, labels, topk=(1, 5))
    parts = retrieval_scores(embeddings, labels, topk=(1, 5), block_size=7)
    assert parts == pytest.approx(whole, rel=1e-12)


def test_similarities_that_are_computed_twice_change_nothing(monkeypatch):
    embeddings, labels = random_set(3)
    labels[7] = labels.max() + 5  # alone in its class, and some classes are empty
    once = retrieval_scores(embeddings, labels, topk=(1, 5), block_size=9)
    monkeypatch.setattr(retrieval, "_CELLS", 64)
    twice = retrieval_scores(embeddings, labels, topk=(1, 5), block_size=9)
    assert twice == pytest.approx(once, rel=1e-12)
    assert once["queries_without_match"] == 1


class IndexFlatIP:
    """The part of faiss that is used, for machines without it."""

    def __init__(self, dim):
        self.points = np.empty((0, dim), np.float32)

    def add(self, points):
        self.points = np.concatenate([self.points, points])

    def search(self, queries, count):
        similarity = queries @ self.points.T
        order = np.argsort(-similarity, axis=1, kind="stable")[:, :count]
        return np.take_along_axis(similarity, order, axis=1), order


@pytest.mark.parametrize("library", ["faiss", "its stand-in", "torch"])
def test_neighbours_are_the_head_of_the_ranking(library, monkeypatch):
    if library == "faiss":
        pytest.importorskip("faiss", reason="faiss is not installed")
    else:
        stand_in = SimpleNamespace(IndexFlatIP=IndexFlatIP)
        monkeypatch.setattr(
            retrieval, "faiss", None if library == "torch" else stand_in
        )
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


def test_nmi_without_scikit_learn(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(ImportError, match="pip install scikit-learn"):
        clustering_nmi(circle(0, 90), torch.tensor([0, 1]))


def test_a_set_without_a_pair():
    with pytest.raises(ValueError, match="all of different classes"):
        retrieval_scores(circle(0, 10), torch.tensor([0, 1]), topk=(1,))


def brute_force(distances, qp, qc, gp, gc, topk):
    cmc, ap = np.zeros(len(topk)), []
    for i in range(len(qp)):
        ranked = sorted(range(len(gp)), key=lambda j: distances[i, j])
        ranked = [j for j in ranked if not (gp[j] == qp[i] and gc[j] == qc[i])]
        hits, precisions = 0, []
        for rank, j in enumerate(ranked, 1):
            if gp[j] == qp[i]:
                hits += 1
                precisions.append(hits / rank)
                if hits == 1:
                    cmc += np.array([rank <= k for k in topk])
        if precisions:
            ap.append(np.mean(precisions))
    return 100 * cmc / len(ap), 100 * np.mean(ap)


def area_under_the_curve(is_match):
    """The evaluation of MARS, Market-1501 and the Oxford buildings, step by step."""
    good, old_recall, old_precision, area, seen = sum(is_match), 0.0, 1.0, 0.0, 0
    for place, match in enumerate(is_match):
        seen += match
        recall, precision = seen / good, seen / (place + 1)
        area += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision = recall, precision
    return area


def test_trapezoids_against_the_protocol():
    rng = np.random.default_rng(0)
    persons, cameras = rng.integers(1, 6, 60), rng.integers(1, 4, 60)
    distances = rng.random((9, 60))
    query_persons, query_cameras = rng.integers(1, 6, 9), rng.integers(1, 4, 9)
    expected = []
    for row, person, camera in zip(distances, query_persons, query_cameras):
        keep = ~((persons == person) & (cameras == camera))
        ranked = persons[keep][row[keep].argsort()] == person
        expected.append(area_under_the_curve(ranked.tolist()))
    arguments = (distances, query_persons, query_cameras, persons, cameras, (1,))
    scores = tracklet_scores(*arguments, average_precision="trapezoid")
    assert scores["mAP"] == pytest.approx(100 * np.mean(expected))
    assert scores["mAP"] < tracklet_scores(*arguments)["mAP"]
    with pytest.raises(ValueError, match="'step', 'trapezoid'"):
        tracklet_scores(*arguments, average_precision="area")


def test_trapezoids_of_a_set_searched_in_itself():
    embeddings, labels = random_set(6, n=40, classes=4)
    similarity = torch.nn.functional.normalize(embeddings) @ (
        torch.nn.functional.normalize(embeddings).T
    )
    expected = []
    for query in range(40):
        others = [i for i in similarity[query].argsort(descending=True) if i != query]
        matches = [bool(labels[i] == labels[query]) for i in others]
        expected.append(area_under_the_curve(matches))
    scores = retrieval_scores(
        embeddings, labels, topk=(1,), average_precision="trapezoid"
    )
    assert scores["mAP"] == pytest.approx(100 * np.mean(expected))


@pytest.mark.parametrize("seed", range(5))
def test_against_a_loop(seed):
    rng = np.random.default_rng(seed)
    distances = rng.random((15, 60))
    qp, gp = rng.integers(1, 12, 15), rng.integers(0, 12, 60)
    qc, gc = rng.integers(0, 3, 15), rng.integers(0, 3, 60)
    scores = tracklet_scores(distances, qp, qc, gp, gc, (1, 5, 20))
    cmc, ap = brute_force(distances, qp, qc, gp, gc, (1, 5, 20))
    np.testing.assert_allclose([scores[f"CMC-{k}"] for k in (1, 5, 20)], cmc)
    assert scores["mAP"] == pytest.approx(ap)


def test_tracklets_are_pooled_in_the_order_of_their_first_image():
    embeddings = circle(40, 0, 90, 20).float().numpy() * [[1], [3], [1], [2]]
    names = ["b", "a", "b", "a"]
    pooled, persons, cameras = pool_tracklets(
        embeddings, names, [2, 1, 2, 1], [0, 5, 0, 5]
    )
    torch.testing.assert_close(pooled, circle(65, 10))
    assert (persons.tolist(), cameras.tolist()) == ([2, 1], [0, 5])
    largest, _, _ = pool_tracklets(embeddings, names, [2, 1, 2, 1], [0, 5, 0, 5], "max")
    expected = torch.tensor([[np.cos(np.deg2rad(40)), 1], [1, np.sin(np.deg2rad(20))]])
    torch.testing.assert_close(largest, torch.nn.functional.normalize(expected))


def test_a_tracklet_of_two_cameras():
    with pytest.raises(ValueError, match=r"^7 belongs .* \(1, 0\) and to \(1, 4\)$"):
        pool_tracklets(np.eye(2), [7, 7], [1, 1], [0, 4])


def test_no_query_has_a_match():
    with pytest.raises(ValueError, match="none of 1 queries has a match"):
        tracklet_scores(
            np.zeros((1, 2)), *(np.array(a) for a in ([1], [0], [1, 2], [0, 1])), (1,)
        )
