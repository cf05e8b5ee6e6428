"""studies/rtmpose.py with a few faces and one epoch."""

import sys

import pytest

from studies import rtmpose

FEW = [
    "train_cfg.max_epochs=1",
    "train_cfg.val_interval=1",
    "custom_hooks.1.start=0",
    *(
        f"{part}_dataloader.{option}"
        for part in ("train", "val")
        for option in (
            "dataset.num_samples=4",
            "batch_size=2",
            "num_workers=0",
            "persistent_workers=False",
        )
    ),
]


def run(monkeypatch, work_dir, *options):
    argv = ["rtmpose", "--work-dir", str(work_dir), "--seeds", "3", *options]
    monkeypatch.setattr(sys, "argv", argv)
    rtmpose.main()


def test_nothing_to_report(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match="no training is finished"):
        run(monkeypatch, tmp_path, "--report")


def test_a_row_a_seed(monkeypatch, tmp_path, capsys):
    run(monkeypatch, tmp_path, "--cfg-options", *FEW)
    lines = (tmp_path / "table.md").read_text().splitlines()
    head, _, seed, mean = ([c.strip() for c in x.split("|")[1:-1]] for x in lines)
    assert tuple(head) == rtmpose.HEAD and seed[0] == "3" and mean[0] == "mean"
    annotated, target, ratio = map(float, seed[1:4])
    assert annotated > 0 and ratio == pytest.approx(target / annotated, abs=0.01)
    assert "ratio" in capsys.readouterr().out
