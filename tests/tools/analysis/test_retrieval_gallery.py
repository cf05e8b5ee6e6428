"""tools/analysis/retrieval_gallery.py after training and testing."""

import csv
import json

import cv2
import torch

from tests.tools.conftest import LABEL_NOISE
from tools import test
from tools.analysis import retrieval_gallery


def test_gallery(characters, trained_characters, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("DATA_ROOT", str(characters))
    config, checkpoint = trained_characters.config, str(trained_characters.checkpoint)
    test.main(
        [
            config, checkpoint,
            "--work-dir", str(tmp_path / "test"),
            "--out", str(tmp_path / "metrics.json"),
        ]
    )  # fmt: skip
    recall = json.loads((tmp_path / "metrics.json").read_text())["retrieval/Recall@1"]
    assert 0 <= recall <= 100
    capsys.readouterr()
    out = tmp_path / "gallery"
    retrieval_gallery.main(
        [config, checkpoint, "--out-dir", str(out), "--cfg-options", LABEL_NOISE]
    )
    said = capsys.readouterr().out
    assert f"Recall@1 {recall:.2f} % of 120 test images" in said
    assert "40 of 160 labels are wrong; ROC AUC 0." in said
    for name in ("retrieval.png", "outliers.png"):
        assert cv2.imread(str(out / name)).std() > 0
    with open(out / "attention.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    attention = [float(row["attention"]) for row in rows]
    assert len(rows) == 160 and attention == sorted(attention)
    assert sum(row["label"] != row["true_label"] for row in rows) == 40


def test_suspects_say_what_they_are_labelled_as():
    infos = [dict(gt_label=n, true_label=t) for n, t in ((0, 0), (1, 0), (1, 1))]
    attention = torch.tensor([0.9, 0.1, 0.8])
    (row,) = retrieval_gallery.outlier_rows(attention, ["cat", "dog"], infos, 1)
    index, colour, caption = row[0]
    assert (index, colour) == (1, retrieval_gallery.WRONG)
    assert caption == "attention 0.100\nlabelled dog\nis cat"
    assert [index for index, *_ in row[1:]] == [2, 1]
    assert "Upper 3: queries chosen at random. Lower 2" in (
        retrieval_gallery.gallery_title(5)
    )
