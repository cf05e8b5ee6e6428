"""studies/omniglot.py, run as a user runs it."""

import csv
import os
import subprocess
import sys

import cv2

from tests import ROOT
from tests.tools.test_retrieval_tools import SMALL, characters  # noqa: F401


def study(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "studies.omniglot", *map(str, arguments)],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )


def test_study_is_resumable(characters, tmp_path):  # noqa: F811
    command = ["--data-root", characters]
    command += ["--work-dir", tmp_path, "--seeds", 5, "--noise", 0.25, "--jobs", 1]
    command += ["--cfg-options", *SMALL]
    first = study(*command, "--methods", "osm_caa")
    assert first.returncode == 0, first.stderr[-2000:]
    log = tmp_path / "osm_caa_noise0.25_seed5" / "train.log"
    trained = log.stat().st_mtime_ns
    second = study(*command, "--methods", "osm_caa", "triplet")
    assert second.returncode == 0, second.stderr[-2000:]
    assert log.stat().st_mtime_ns == trained
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["osm_caa", "triplet"]
    for row in rows:
        assert 0 <= float(row["Recall@1"]) <= 100
        assert 0 <= float(row["attention_auc"]) <= 1
    table = (tmp_path / "table.md").read_text()
    assert "| Recall@1 | 25% wrong |" in table and table in second.stdout
    for name in ("recall.png", "roc.png"):
        assert cv2.imread(str(tmp_path / name)).std() > 0
