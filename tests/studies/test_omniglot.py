"""studies/omniglot.py, run as a user runs it."""

import csv
import sys

import cv2
import pytest

pytest.importorskip("pytorch_metric_learning")

from studies import omniglot
from tests.tools.conftest import characters  # noqa: F401

SMALL = [
    "train_dataloader.batch_size=16",
    "train_dataloader.sampler.num_classes_per_batch=4",
    "train_cfg.max_epochs=1",
    "train_cfg.val_interval=1",
]


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["study", *map(str, arguments)])
    omniglot.main()


def test_study_is_resumable(characters, tmp_path, monkeypatch, capsys):  # noqa: F811
    command = ["--data-root", characters]
    command += ["--work-dir", tmp_path, "--seeds", 5, "--noise", 0.25, "--jobs", 1]
    command += ["--cfg-options", *SMALL]
    call(monkeypatch, *command, "--methods", "osm_caa")
    log = tmp_path / "noise0.25" / "osm_caa" / "seed5" / "train.log"
    trained = log.stat().st_mtime_ns
    capsys.readouterr()
    call(monkeypatch, *command, "--methods", "osm_caa", "triplet")
    assert log.stat().st_mtime_ns == trained
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["osm_caa", "triplet"]
    for row in rows:
        assert 0 <= float(row["Recall@1"]) <= 100
        assert 0 <= float(row["attention_auc"]) <= 1
    table = (tmp_path / "table.md").read_text()
    assert "| Recall@1 | 25% wrong |" in table and table in capsys.readouterr().out
    for name in ("recall.png", "roc.png"):
        assert cv2.imread(str(tmp_path / name)).std() > 0
