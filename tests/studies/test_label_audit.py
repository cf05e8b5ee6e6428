"""studies/label_audit.py, run as a user runs it."""

import csv
import sys

from studies import label_audit
from tests.tools.conftest import characters  # noqa: F401

SMALL = [
    "train_dataloader.batch_size=16",
    "train_dataloader.sampler.num_classes_per_batch=4",
    "train_cfg.max_epochs=1",
]


def test_study_is_resumable(characters, tmp_path, monkeypatch, capsys):  # noqa: F811
    command = ["study", "--data-root", characters, "--work-dir", tmp_path]
    command += ["--seeds", 5, "--noise", 0.25, "--folds", 2, "--cfg-options", *SMALL]
    monkeypatch.setattr(sys, "argv", list(map(str, command)))
    label_audit.main()
    trained = tmp_path / "noise0.25/seed5/fold_1/epoch_1.pth"
    written = trained.stat().st_mtime_ns
    capsys.readouterr()
    label_audit.main()
    assert trained.stat().st_mtime_ns == written
    with open(tmp_path / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["method"] == "surprise"
    assert all(0 <= float(row["ROC AUC"]) <= 1 for row in rows)
    text = (tmp_path / "table.md").read_text()
    assert "| 25% wrong | ROC AUC | suspects" in text
    assert text in capsys.readouterr().out
