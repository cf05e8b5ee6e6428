"""tools/analysis/audit_labels.py after training, in and out of fold."""

import csv
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from mmpretrain.datasets import CustomDataset

from semamb_mm.pretrain.datasets import OmniglotRetrieval
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
    path = tmp_path / "corrected.csv"
    call()
    assert not path.exists()
    suspects = sum(row["suspect"] == "1" for row in rows_of(tmp_path))
    said = call("--corrected", path)
    assert f"{suspects} labels replaced" in said
    assert path.read_text().splitlines()[0] == "image,class"
    assert len(path.read_text().splitlines()) == 1 + suspects
    assert before == sorted(p.stat().st_mtime_ns for p in characters.rglob("*"))
    with pytest.raises(SystemExit, match="corrected.csv exists already"):
        call("--corrected", path)
    with pytest.raises(SystemExit, match="lies inside the data root"):
        call("--corrected", characters / "new.txt")


def test_what_is_written_is_read_by_the_data_set(characters, tmp_path, capsys):
    dataset = OmniglotRetrieval(str(characters))
    labels = np.array(dataset.get_gt_labels())
    suspects = np.arange(len(labels)) % 7 == 3
    likely = (labels + 2) % len(dataset.metainfo["classes"])
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    audit = SimpleNamespace(suspects=suspects, likely=likely)
    path = tmp_path / "corrected.csv"
    audit_labels.write_corrected(path, dataset, infos, audit)
    assert f"{suspects.sum()} labels replaced" in capsys.readouterr().out
    again = OmniglotRetrieval(str(characters), corrections=str(path))
    np.testing.assert_array_equal(
        again.get_gt_labels(), np.where(suspects, likely, labels)
    )
    # A second audit keeps what the first one has corrected.
    audit.suspects = np.arange(len(labels)) % 7 == 4
    audit.likely = (labels + 1) % len(again.metainfo["classes"])
    second = tmp_path / "second.csv"
    infos = [again.get_data_info(i) for i in range(len(again))]
    audit_labels.write_corrected(second, again, infos, audit)
    after = OmniglotRetrieval(str(characters), corrections=str(second))
    expected = np.where(suspects, likely, labels)
    expected[audit.suspects] = audit.likely[audit.suspects]
    np.testing.assert_array_equal(after.get_gt_labels(), expected)


def test_a_tracklets_images_are_corrected_together_or_not():
    tracklets = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    suspects = np.array([1, 1, 0, 1, 0, 0, 1, 1], bool)
    likely = np.array([5, 5, 3, 4, 3, 3, 7, 8])
    found, classes = audit_labels.by_tracklet(tracklets, suspects, likely)
    assert found.tolist() == [True] * 3 + [False] * 5
    assert classes[:3].tolist() == [5, 5, 5]


def test_other_data_sets_get_the_list_of_mmpretrains_own(characters, tmp_path):
    paths = sorted(str(path) for path in characters.rglob("*.png"))[:6]
    lines = "".join(f"{path} {i % 2}\n" for i, path in enumerate(paths))
    (tmp_path / "list.txt").write_text(lines)
    stock = dict(data_root="", metainfo=dict(classes=("alpha", "beta")))
    dataset = CustomDataset(ann_file=str(tmp_path / "list.txt"), **stock)
    infos = [dataset.get_data_info(i) for i in range(6)]
    audit = SimpleNamespace(suspects=np.arange(6) == 2, likely=np.ones(6, int))
    audit_labels.write_corrected(tmp_path / "new.txt", dataset, infos, audit)
    new = CustomDataset(ann_file=str(tmp_path / "new.txt"), **stock)
    assert list(new.get_gt_labels()) == [0, 1, 1, 1, 0, 1]
