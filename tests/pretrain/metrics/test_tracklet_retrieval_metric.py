import numpy as np
import pytest
import torch

from semamb_mm.pretrain import TrackletRetrievalMetric, re_rank
from semamb_mm.pretrain.metrics.tracklet_retrieval_metric import tracklet_scores


def image(degrees, person, camera, tracklet, role):
    angle = np.deg2rad(degrees)
    return dict(
        embedding=torch.tensor([np.cos(angle), np.sin(angle)]),
        gt_label=torch.tensor([person]),
        camera_id=camera,
        tracklet_id=tracklet,
        role=role,
        img_path=f"{role}{tracklet}.jpg",
    )


def evaluate(samples, **kwargs):
    metric = TrackletRetrievalMetric(**kwargs)
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def test_hand_computed():
    samples = [
        image(0, 1, 1, 0, "query"),
        image(1, 1, 1, 0, "gallery"),  # junk: same person and camera
        image(4, 2, 2, 1, "gallery"),
        image(10, 1, 2, 2, "gallery"),  # rank 2
        image(15, 0, 3, 3, "gallery"),  # distractor
        image(20, 1, 3, 4, "gallery"),  # rank 4
    ]
    scores = evaluate(samples, topk=(1, 2))
    assert scores["reid/CMC-1"] == 0
    assert scores["reid/CMC-2"] == 100
    assert scores["reid/mAP"] == pytest.approx(50)


def test_tracklets_are_pooled():
    samples = [
        image(0, 1, 1, 0, "query"),
        image(40, 1, 1, 0, "query"),
        image(-1, 2, 2, 1, "gallery"),
        image(5, 1, 2, 2, "gallery"),
        image(37, 1, 2, 2, "gallery"),  # mean at 21 degrees, the query's at 20
        image(30, 3, 2, 3, "gallery"),
    ]
    assert evaluate(samples)["reid/CMC-1"] == 100
    assert evaluate(samples[:1] + samples[2:])["reid/CMC-1"] == 0


def test_queries_in_the_gallery():
    samples = [
        image(0, 1, 1, 0, "query"),
        image(10, 1, 2, 1, "query"),
        image(5, 2, 1, 2, "query"),
        image(30, 2, 2, 3, "gallery"),
    ]
    # Of the gallery only person 2's query has a match, its only one.
    scores = evaluate(samples)
    assert (scores["reid/CMC-1"], scores["reid/mAP"]) == (100, 100)
    # Person 1's two queries find each other second, behind person 2's; person
    # 2's finds its match behind both; its own copy is under its own camera.
    scores = evaluate(samples, queries_in_gallery=True, topk=(1, 2, 3))
    cmc = [scores[f"reid/CMC-{k}"] for k in (1, 2, 3)]
    assert cmc == pytest.approx([0, 200 / 3, 100])
    assert scores["reid/mAP"] == pytest.approx(100 * (1 / 2 + 1 / 2 + 1 / 3) / 3)


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


def literal_re_rank(query, gallery, k1, k2, lam):
    x = np.concatenate([query, gallery]).astype(np.float64)
    n = len(x)
    d = np.array([[((a - b) ** 2).sum() for b in x] for a in x])
    d = d / d.max(axis=1, keepdims=True)
    rank = [sorted(range(n), key=lambda j: d[i, j]) for i in range(n)]

    def near(i, k):
        return set(rank[i][: k + 1])

    def reciprocal(i, k):
        return {j for j in near(i, k) if i in near(j, k)}

    v = np.zeros((n, n))
    for i in range(n):
        own = reciprocal(i, k1)
        expanded = set(own)
        for j in own:
            other = reciprocal(j, round(k1 / 2))
            if len(own & other) >= 2 / 3 * len(other):
                expanded |= other
        for j in expanded:
            v[i, j] = np.exp(-d[i, j])
        v[i] /= v[i].sum()
    v = np.array([np.mean([v[j] for j in rank[i][:k2]], axis=0) for i in range(n)])
    q = len(query)
    jaccard = np.array(
        [
            [
                1 - np.minimum(v[i], v[j]).sum() / np.maximum(v[i], v[j]).sum()
                for j in range(q, n)
            ]
            for i in range(q)
        ]
    )
    return (1 - lam) * jaccard + lam * d[:q, q:]


@pytest.mark.parametrize(("k1", "k2", "lam"), [(8, 3, 0.3), (5, 1, 0.0), (6, 4, 1.0)])
def test_re_ranking_against_the_formulas(k1, k2, lam):
    rng = np.random.default_rng(k1)
    query, gallery = rng.normal(size=(7, 4)), rng.normal(size=(25, 4))
    ours = re_rank(query, gallery, k1, k2, lam)
    np.testing.assert_allclose(
        ours, literal_re_rank(query, gallery, k1, k2, lam), atol=2e-6
    )


def test_re_ranking_helps_where_neighbourhoods_tell():
    # Two crescents: the nearest of the end of one is the middle of the other.
    rng = np.random.default_rng(0)
    t = np.linspace(0, np.pi, 40)
    a = np.stack([np.cos(t), np.sin(t)], 1)
    b = np.stack([1 - np.cos(t), 0.4 - np.sin(t)], 1)
    points = np.concatenate([a, b]) + rng.normal(0, 0.02, (80, 2))
    label = np.repeat([1, 2], 40)
    query, gallery = np.arange(0, 80, 4), np.setdiff1d(np.arange(80), range(0, 80, 4))
    plain = np.linalg.norm(points[query, None] - points[gallery], axis=-1)
    ranked = re_rank(points[query], points[gallery], k1=6, k2=3)

    def score(distances):
        zeros = np.zeros(80)
        return tracklet_scores(
            distances,
            label[query],
            zeros[query] - 1,
            label[gallery],
            zeros[gallery],
            (1,),
        )["mAP"]

    assert score(ranked) > score(plain)
    samples = [
        dict(
            embedding=torch.from_numpy(points[i]),
            gt_label=torch.tensor([label[i]]),
            camera_id=int(i in query),
            tracklet_id=i,
            role="query" if i in query else "gallery",
        )
        for i in range(80)
    ]
    names = evaluate(samples, re_ranking=dict(k1=6, k2=3), topk=(1,))
    assert set(names) == {
        f"reid/{name}" for name in ("CMC-1", "mAP", "CMC-1_reranked", "mAP_reranked")
    }


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="median"):
        TrackletRetrievalMetric(pooling="median")
    with pytest.raises(ValueError, match="positive"):
        TrackletRetrievalMetric(topk=(0,))
    with pytest.raises(ValueError, match="k1 >= 1"):
        re_rank(np.eye(2), np.eye(2), k1=0)
    query = image(0, 1, 1, 0, "query")
    with pytest.raises(ValueError, match="no image has the role 'gallery'"):
        evaluate([query])
    with pytest.raises(ValueError, match="none of 1 queries"):
        evaluate([query, image(5, 1, 1, 1, "gallery")])
    with pytest.raises(
        ValueError, match=r"tracklet 1 belongs .* \(2, 1\) and to \(3, 1\)"
    ):
        evaluate([query, image(5, 2, 1, 1, "gallery"), image(5, 3, 1, 1, "gallery")])
    with pytest.raises(ValueError, match="no 'camera_id'"):
        evaluate([{k: v for k, v in query.items() if k != "camera_id"}])
    with pytest.raises(ValueError, match="query0.jpg: role"):
        evaluate([dict(query, role="probe", img_path="query0.jpg")])
    with pytest.raises(ValueError, match="query0.jpg is zero"):
        evaluate([dict(query, embedding=torch.zeros(2))])
