"""tools/analysis/audit_labels.py after training, in and out of fold."""

import csv
import shutil

import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset

from tests.tools.conftest import LABEL_NOISE
from tools.analysis import audit_labels


@pytest.fixture
def call(characters, trained_characters, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATA_ROOT", str(characters))
    known = [trained_characters.config, str(trained_characters.checkpoint)]
    options = ["--cfg-options", *trained_characters.options]

    def run(*arguments):
        capsys.readouterr()
        command = [*known, "--out-dir", str(tmp_path / "audit"), *map(str, arguments)]
        audit_labels.main([*command, *options])
        return capsys.readouterr().out

    assert LABEL_NOISE in trained_characters.options
    return run


def rows_of(tmp_path):
    with open(tmp_path / "audit/labels.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_out_of_fold_goes_on_where_it_stopped(call, tmp_path):
    folds = tmp_path / "audit/folds"
    said = call("--folds", 2)
    assert "of 160 labels are suspects" in said
    scores = [np.load(folds / f"fold_{fold}/scores.npy") for fold in (0, 1)]
    assert [len(of_fold) for of_fold in scores] == [80, 80]
    first = rows_of(tmp_path)
    wrong = sum(row["label"] != row["true_label"] for row in first)
    assert len(first) == 160 and wrong == 40
    page = (tmp_path / "audit/audit.html").read_text()
    assert "judged by one of 2 models" in page and "data:image/jpeg" in page
    # One fold is finished, the other one's scores are lost but not its training.
    checkpoint = folds / "fold_1/epoch_1.pth"
    written = checkpoint.stat().st_mtime_ns
    (folds / "fold_1/scores.npy").unlink()
    shutil.rmtree(tmp_path / "audit/folds/fold_0", ignore_errors=False)
    call("--folds", 2)
    assert checkpoint.stat().st_mtime_ns == written
    assert rows_of(tmp_path) == first
    with pytest.raises(SystemExit, match="fold_0 has the training of another config"):
        call("--folds", 3)


def test_corrected_labels_are_written_on_demand_elsewhere(call, characters, tmp_path):
    before = sorted(path.stat().st_mtime_ns for path in characters.rglob("*"))
    path = tmp_path / "corrected.txt"
    call()
    assert not path.exists()
    said = call("--precision", "0.01", "--corrected", path)
    rows = rows_of(tmp_path)
    suspects = [row for row in rows if row["suspect"] == "1"]
    assert f"{len(suspects)} labels replaced" in said
    custom = CustomDataset(ann_file=str(path), data_root="", metainfo=None)
    assert len(custom) == 160
    new = {
        custom.get_data_info(i)["img_path"]: custom.get_data_info(i) for i in range(160)
    }
    classes = sorted({row["label"] for row in rows})
    for row in rows:
        expected = row["likely_label"] if row["suspect"] == "1" else row["label"]
        assert classes[new[row["image"]]["gt_label"]] == expected
    assert before == sorted(p.stat().st_mtime_ns for p in characters.rglob("*"))
    with pytest.raises(SystemExit, match="corrected.txt exists already"):
        call("--corrected", path)
    with pytest.raises(SystemExit, match="lies inside the data root"):
        call("--corrected", characters / "new.txt")
