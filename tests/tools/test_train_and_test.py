"""The entry scripts, called as a user calls them."""

import json
import os
import subprocess
import sys

import pytest

from tests import ROOT

CONFIG = "configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"
SMALL = [
    "train_dataloader.dataset.num_samples=4",
    "train_dataloader.batch_size=2",
    "train_dataloader.num_workers=0",
    "train_dataloader.persistent_workers=False",
    "val_dataloader.dataset.num_samples=2",
    "val_dataloader.num_workers=0",
    "val_dataloader.persistent_workers=False",
    "test_dataloader.dataset.num_samples=2",
    "test_dataloader.num_workers=0",
    "test_dataloader.persistent_workers=False",
    "train_cfg.max_epochs=2",
    "custom_hooks.1.start=1",
]


def run(*command, **env):
    return subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1", **env),
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "script",
    [
        "train",
        "test",
        "analysis/inspect_targets",
    ],
)
def test_help(script):
    done = run(f"tools/{script}.py", "--help")
    assert done.returncode == 0 and "config" in done.stdout


def test_train_resume_test_and_inspect(tmp_path):
    work = str(tmp_path / "work")
    first = run("tools/train.py", CONFIG, "--work-dir", work, "--cfg-options", *SMALL)
    assert first.returncode == 0, first.stderr[-2000:]
    options = [*SMALL, "train_cfg.max_epochs=3"]
    again = run(
        "tools/train.py", CONFIG, "--work-dir", work, "--resume",
        "--cfg-options", *options,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr[-2000:]
    output = again.stdout + again.stderr
    assert "resumed epoch: 2" in output
    checkpoint = str(tmp_path / "work" / "epoch_3.pth")
    left = [p.name for p in (tmp_path / "work").glob("*") if "unfinished" in p.name]
    assert left == []
    tested = run(
        "tools/test.py", CONFIG, checkpoint, "--work-dir", work,
        "--out", str(tmp_path / "metrics.json"), "--cfg-options", *SMALL,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stderr[-2000:]
    metrics = json.loads((tmp_path / "metrics.json").read_text())
    assert metrics["NME/inter_ocular"] > 0
    inspected = run(
        "tools/analysis/inspect_targets.py", CONFIG, checkpoint,
        "--out-dir", str(tmp_path / "targets"), "--num-faces", "2",
        "--cfg-options", *SMALL,
    )  # fmt: skip
    assert inspected.returncode == 0, inspected.stderr[-2000:]
    assert "target_rms" in inspected.stdout
    written = sorted(path.name for path in (tmp_path / "targets").iterdir())
    assert written == ["faces.png", "moves.csv", "moves.png", "summary.json"]


@pytest.mark.parametrize("flag", ["--local_rank", "--local-rank"])
def test_both_spellings_of_local_rank(flag):
    done = run("tools/train.py", "no/such/config.py", flag, "0")
    assert done.returncode == 1
    assert "config file no/such/config.py does not exist" in done.stderr


def test_missing_checkpoint_is_named():
    done = run("tools/test.py", CONFIG, "no/such.pth")
    assert done.returncode == 1
    assert "checkpoint file no/such.pth does not exist" in done.stderr
