import sys

import numpy as np
import pytest

from semamb_mm.metric_learning import re_rank, tracklet_scores


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


def test_bad_options_are_named():
    with pytest.raises(ValueError, match="k1 >= 1"):
        re_rank(np.eye(2), np.eye(2), k1=0)


def test_without_scipy(monkeypatch):
    monkeypatch.setitem(sys.modules, "scipy", None)
    with pytest.raises(ImportError, match="pip install scipy"):
        re_rank(np.eye(2), np.eye(2))
