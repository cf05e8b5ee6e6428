"""The scores themselves are tested in tests/metric_learning/test_retrieval.py."""

import numpy as np
import pytest
import torch

from semamb_mm.pretrain import TrackletRetrievalMetric
from semamb_mm.pretrain.metrics import tracklet_retrieval_metric as module


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


def test_re_ranking_is_reported_beside_the_plain_scores():
    samples = [
        image(angle, person, int(role == "query"), number, role)
        for number, (angle, person, role) in enumerate(
            [(0, 1, "query"), (50, 2, "query"), (5, 1, "gallery"), (60, 2, "gallery")]
        )
    ]
    names = evaluate(samples, re_ranking=dict(k1=2, k2=1), topk=(1,))
    assert set(names) == {
        f"reid/{name}" for name in ("CMC-1", "mAP", "CMC-1_reranked", "mAP_reranked")
    }
    assert set(evaluate(samples, re_ranking=True, topk=(1,))) == set(names)


def test_queries_without_a_match_are_logged(monkeypatch):
    lines = []
    monkeypatch.setattr(module, "print_log", lambda text, **_: lines.append(text))
    evaluate(
        [
            image(0, 1, 1, 0, "query"),
            image(0, 5, 1, 1, "query"),
            image(9, 1, 2, 2, "gallery"),
        ]
    )
    assert len(lines) == 1 and "1 of 2 queries have no match" in lines[0]


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="median"):
        TrackletRetrievalMetric(pooling="median")
    with pytest.raises(ValueError, match="positive"):
        TrackletRetrievalMetric(topk=(0,))
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
