"""The retrieval tools, called as a user calls them, on a few invented characters."""

import csv
import json
import os
import subprocess
import sys

import cv2
import pytest

pytest.importorskip(
    "pytorch_metric_learning", reason="pytorch-metric-learning is not installed"
)
from tests import ROOT

CONFIG = "configs/osm_caa/slim-resnet_osm-caa_omniglot-28x28.py"
SMALL = [
    "train_dataloader.batch_size=16",
    "train_dataloader.sampler.num_classes_per_batch=4",
    "train_cfg.max_epochs=1",
    "train_cfg.val_interval=1",
]


def run(script, *arguments, **env):
    return subprocess.run(
        [sys.executable, f"tools/{script}.py", *map(str, arguments)],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1", **env),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def characters(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data") / "characters"
    done = run("draw_characters", folder, "--characters", 2)
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


def test_draw_characters(characters, tmp_path):
    images = sorted(characters.glob("*/*/*/*.png"))
    assert len(images) == (4 + 3) * 2 * 20
    drawings = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in images]
    assert all(drawing.shape == (105, 105) for drawing in drawings)
    assert all(0.005 < (drawing < 128).mean() < 0.4 for drawing in drawings)
    assert run("draw_characters", tmp_path / "again", "--characters", 2).returncode == 0
    again = sorted((tmp_path / "again").glob("*/*/*/*.png"))
    assert all(a.read_bytes() == b.read_bytes() for a, b in zip(images, again))
    refused = run("draw_characters", characters)
    assert refused.returncode == 1 and "exists" in refused.stderr


def test_train_test_and_gallery(characters, tmp_path):
    root = str(characters)
    noise = "train_dataloader.dataset.label_noise=0.25"
    work = tmp_path / "work"
    done = run(
        "train",
        CONFIG,
        "--work-dir",
        work,
        "--cfg-options",
        *SMALL,
        noise,
        DATA_ROOT=root,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    checkpoint = work / "epoch_1.pth"
    tested = run(
        "test",
        CONFIG,
        checkpoint,
        "--work-dir",
        tmp_path / "test",
        "--out",
        tmp_path / "metrics.json",
        DATA_ROOT=root,
    )
    assert tested.returncode == 0, tested.stderr[-2000:]
    recall = json.loads((tmp_path / "metrics.json").read_text())["retrieval/Recall@1"]
    assert 0 <= recall <= 100
    out = tmp_path / "gallery"
    drawn = run(
        "analysis/retrieval_gallery",
        CONFIG,
        checkpoint,
        "--out-dir",
        out,
        "--cfg-options",
        noise,
        DATA_ROOT=root,
    )
    assert drawn.returncode == 0, drawn.stderr[-2000:]
    assert f"Recall@1 {recall:.2f} % of 120 test images" in drawn.stdout
    assert "40 of 160 labels are wrong; ROC AUC 0." in drawn.stdout
    for name in ("retrieval.png", "outliers.png"):
        assert cv2.imread(str(out / name)).std() > 0
    with open(out / "attention.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    attention = [float(row["attention"]) for row in rows]
    assert len(rows) == 160 and attention == sorted(attention)
    assert sum(row["label"] != row["true_label"] for row in rows) == 40
