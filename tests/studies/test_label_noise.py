"""studies/label_noise.py, run as a user runs it."""

import csv
import json
import sys

import cv2
import pytest

pytest.importorskip(
    "pytorch_metric_learning", reason="pytorch-metric-learning is not installed"
)

from studies import label_noise, small_retrieval
from studies.label_noise import Cell, Setting, grid
from tests.tools.conftest import characters  # noqa: F401


@pytest.fixture
def call(characters, tmp_path, monkeypatch):  # noqa: F811
    """Run the study with some arguments, on tiny batches."""
    monkeypatch.setattr(small_retrieval, "CLASSES_PER_BATCH", 4)
    monkeypatch.setattr(label_noise, "TUNING_EPOCHS", 1)
    monkeypatch.setattr(label_noise, "RATES", (0.01,))

    def run(*arguments):
        command = ["study", "--data-root", characters, "--work-dir", tmp_path]
        command += ["--data", "omniglot", "--epochs", 1, *arguments]
        monkeypatch.setattr(sys, "argv", [str(part) for part in command])
        label_noise.main()

    return run


def test_study_tunes_trains_and_goes_on(call, tmp_path, capsys):
    cells = ["--noise", "20 %", "--seeds", 5, 6]
    with pytest.raises(SystemExit, match="no training is finished"):
        call(*cells, "--methods", "contrastive", "--report")
    call(*cells, "--methods", "contrastive")
    path = tmp_path / "1-epochs/omniglot/20 %/contrastive/seed5.json"
    written = path.stat().st_mtime_ns
    capsys.readouterr()
    methods = "contrastive", "prism_joint"
    call(*cells, "--methods", *methods, "--baseline", "prism_joint")
    assert path.stat().st_mtime_ns == written
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["method"] for row in rows] == ["contrastive", "prism_joint"] * 2
    assert all(0 <= float(row["Recall@1"]) <= 100 for row in rows)
    assert all(0 <= float(row["attention_auc"]) <= 1 for row in rows)
    with open(tmp_path / "tuning.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 4
    table = (tmp_path / "table.md").read_text()
    assert "| prism_joint | +0.0 (+0.0 to +0.0) |" in table
    assert table in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "recall.png")).std() > 0


def test_the_best_setting_on_val_is_trained(call, tmp_path):
    call("--noise", "clean", "--seeds", 5, "--methods", "osm")
    tried = sorted((tmp_path / "tuning/osm_caa").glob("*.json"))
    tried = [json.loads(path.read_text()) for path in tried]
    best = max(tried, key=lambda run: run["scores"]["mAP"])
    path = tmp_path / "1-epochs/omniglot/clean/osm/seed5.json"
    kept = json.loads(path.read_text())
    assert kept["asked"] == best["asked"]
    kept["asked"]["lr"] = 1
    path.write_text(json.dumps(kept))
    with pytest.raises(SystemExit, match="seed5.json: trained with .*'lr': 1"):
        call("--noise", "clean", "--seeds", 5, "--methods", "osm")


def test_every_method_has_as_many_settings_to_choose_from():
    tuned = set(label_noise.METHODS) - set(label_noise.TUNED_AS)
    assert tuned == set(label_noise.GRIDS)
    assert {len(grid(method)) for method in tuned} == {4}


@pytest.mark.parametrize("method", sorted(label_noise.GRIDS))
def test_a_grid_changes_what_is_trained(method):
    def head(setting):
        return Cell("omniglot", "20 %", method, 0, setting, 1).head(100)

    first, second = (Setting(0.01, change) for change in label_noise.GRIDS[method])
    assert head(first) != head(second)


def test_prism_is_told_the_share_of_wrong_labels():
    cell = Cell("omniglot", "clusters 25 %", "prism", 0, Setting(0.01, {}), 1)
    loss = cell.head(100)["loss"]
    assert (loss["noise_rate"], loss["memory_size"]) == (0.25, 100)
