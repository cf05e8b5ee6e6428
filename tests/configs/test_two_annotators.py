"""The config for several annotators trains and tests on a small tree."""

import json

import cv2
import numpy as np
import pytest
from mmengine.runner import Runner

from tests import ROOT

CONFIG = ROOT / "configs/semantic_alignment/hrnetv2-w18_sa_two-annotators-256x320.py"


@pytest.fixture
def xrays(tmp_path):
    """Four noisy pictures; the second annotator lacks one, and marks 3 px lower."""
    rng = np.random.default_rng(0)
    root = tmp_path / "xrays"
    (root / "images").mkdir(parents=True)
    points = rng.uniform(20, 60, (4, 19, 2))
    for i in range(4):
        picture = rng.integers(0, 255, (100, 80), np.uint8)
        assert cv2.imwrite(str(root / f"images/{i}.png"), picture)
    for name, rows, shift in (
        ("annotator_1", range(4), 0),
        ("annotator_2", range(1, 4), 3),
        ("val", range(2), 0),
    ):
        annotations = [
            dict(id=n, image_id=i, category_id=1, iscrowd=0, area=6400)
            | dict(bbox=[0, 0, 80, 100], num_keypoints=19)
            | dict(
                keypoints=np.c_[points[i] + (0, shift), np.full(19, 2)].ravel().tolist()
            )
            for n, i in enumerate(rows)
        ]
        images = [
            dict(id=i, file_name=f"{i}.png", width=80, height=100) for i in range(4)
        ]
        content = dict(
            images=images,
            annotations=annotations,
            categories=[dict(id=1, name="cephalogram")],
        )
        (root / f"{name}.json").write_text(json.dumps(content))
    return root


def test_two_annotators_train_and_test(xrays, load_slim, monkeypatch):
    monkeypatch.setenv("DATA_ROOT", str(xrays))
    cfg = load_slim(CONFIG)
    cfg.model.backbone.init_cfg = None
    cfg.custom_hooks[-1].start = 0
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == 2
    (hook,) = (h for h in runner.hooks if type(h).__name__ == "LatentTargetHook")
    assert len(hook.store) == 4
    assert np.isfinite(runner.test()["NME"])
