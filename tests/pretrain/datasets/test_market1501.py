import numpy as np
import pytest
import torch
from mmpretrain.registry import DATASETS, METRICS

from semamb_mm.pretrain import Market1501
from tests.trees.retrieval import make_market1501

from .test_zero_shot_dataset import infos


def test_market_trains_on_its_persons(tmp_path):
    dataset = Market1501(make_market1501(tmp_path))
    assert dataset.metainfo["classes"] == ("0002", "0007", "0011")
    assert dataset.get_gt_labels().tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert [info["camera_id"] for info in infos(dataset)] == [1, 1, 5] * 3
    assert len({info["tracklet_id"] for info in infos(dataset)}) == 9
    held = Market1501(str(tmp_path), split="val")
    assert held.metainfo["classes"] == ("0011",)
    assert [info["role"] for info in infos(held)] == ["query", "gallery", "gallery"]


def test_market_tests_without_the_junk_and_with_the_distractors(tmp_path):
    root = make_market1501(tmp_path)
    dataset = DATASETS.build(dict(type="Market1501", data_root=root, split="test"))
    seen = [(i["role"], i["gt_label"], i["camera_id"]) for i in infos(dataset)]
    assert seen == [
        ("query", 1, 1),
        ("query", 1, 2),
        ("query", 4, 6),
        ("gallery", 0, 1),
        ("gallery", 1, 1),
        ("gallery", 1, 2),
        ("gallery", 4, 1),
    ]


def test_the_official_protocol_by_hand(tmp_path):
    """Same person, same camera: junk; a distractor is wrong; trapezoids."""
    dataset = Market1501(make_market1501(tmp_path), split="test")
    # Distances from the queries at angle 0 grow with a gallery image's angle.
    angles = [0, 0, 0, 0.1, 0.2, 0.3, 0.4]
    metric = METRICS.build(
        dict(type="TrackletRetrievalMetric", topk=(1, 5), average_precision="trapezoid")
    )
    metric.process(
        None,
        [
            dict(info, embedding=torch.tensor([np.cos(a), np.sin(a)]))
            for info, a in zip(infos(dataset), angles, strict=True)
        ],
    )
    scores = metric.compute_metrics(metric.results)
    # The first query's match is behind the distractor: rank 2, its own camera's image
    # is junk. Precision falls from 0 at the first to 1/2 at the second.
    first = (0 + 1 / 2) / 2
    second = first
    # The third finds its match behind all three others.
    third = (0 + 1 / 4) / 2
    assert scores["CMC-1"] == 0 and scores["CMC-5"] == 100
    assert scores["mAP"] == pytest.approx(100 * np.mean([first, second, third]))


def test_market_names_what_is_wrong(tmp_path):
    root = make_market1501(tmp_path)
    (tmp_path / "query/.hidden.jpg").write_bytes(b"")
    assert len(Market1501(root, split="test")) == 7
    (tmp_path / "query/1_c1.jpg").write_bytes(b"")
    with pytest.raises(
        ValueError, match="query/1_c1.jpg: expected a name such as 0002"
    ):
        Market1501(root, split="test")
    (tmp_path / "bounding_box_train").rename(tmp_path / "train")
    with pytest.raises(FileNotFoundError, match="no folder .*bounding_box_train"):
        Market1501(root)
