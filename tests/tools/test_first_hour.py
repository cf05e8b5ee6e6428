"""What the tools say to what a user gives them in the first hour."""

import importlib

import pytest
import torch

from tests import ROOT
from tests.small_detector import ghcu_model  # noqa: F401
from tests.tools.conftest import CHARACTERS
from tools import demo_faces, export_onnx, test, train
from tools.analysis import (
    audit_annotations,
    choose_ghcu_threshold,
    inspect_targets,
    retrieval_gallery,
)

FACES = ROOT / "configs/semantic_alignment/slim-hourglass_sa_300w-subset-96x96.py"
READERS = dict(
    demo_faces=(demo_faces, [str(ROOT / "docs" / "demo_faces.jpg")]),
    export_onnx=(export_onnx, ["--no-check"]),
    test=(test, []),
    audit_annotations=(audit_annotations, []),
    choose_ghcu_threshold=(choose_ghcu_threshold, []),
    inspect_targets=(inspect_targets, []),
)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize("wrong", ["missing", "text"])
def test_a_checkpoint_that_is_none(ghcu_model, tmp_path, name, wrong):  # noqa: F811
    tool, arguments = READERS[name]
    path = tmp_path / "wrong.pth"
    if wrong == "text":
        path.write_text("https://example.org/model.pth\n")
    options = ["--cfg-options", "train_dataloader.dataset.num_samples=10"]
    with pytest.raises(SystemExit) as ended:
        tool.main([ghcu_model[0], str(path), *arguments, *options])
    said = str(ended.value)
    assert str(path) in said and "\n" not in said
    assert ("does not exist" if wrong == "missing" else "is not a checkpoint") in said


def test_a_retrievers_checkpoint_of_another_model(tmp_path, monkeypatch):
    monkeypatch.setattr(retrieval_gallery.cli, "check_data", lambda *_: None)
    torch.save({"backbone.weight": torch.zeros(1)}, tmp_path / "wrong.pth")
    with pytest.raises(SystemExit, match="is of another model"):
        retrieval_gallery.main([str(CHARACTERS), str(tmp_path / "wrong.pth")])


@pytest.mark.parametrize("tool", ["train", "test"])
def test_data_that_is_not_there(monkeypatch, ghcu_model, tool):  # noqa: F811
    monkeypatch.delenv("DATA_ROOT", raising=False)
    main = importlib.import_module(f"tools.{tool}").main
    with pytest.raises(SystemExit, match="from DATA_ROOT, which is not set"):
        main([str(FACES), *(ghcu_model[1:] if tool == "test" else [])])


def test_training_goes_on_from_a_checkpoint_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("epoch 3")
    with pytest.raises(SystemExit, match="is not a checkpoint"):
        train.main([
            str(FACES).replace("300w-subset", "synthetic"),
            "--resume", str(tmp_path / "notes.txt"), "--work-dir", str(tmp_path),
        ])  # fmt: skip


def test_too_few_faces_are_no_audit(ghcu_model, monkeypatch):  # noqa: F811
    """Said before the model is opened."""
    monkeypatch.setattr(audit_annotations.cli, "open_pose_model", None)
    options = ["--cfg-options", "train_dataloader.dataset.num_samples=9"]
    with pytest.raises(SystemExit, match="9 samples .* an audit needs 10 at least"):
        audit_annotations.main([*ghcu_model, *options])
