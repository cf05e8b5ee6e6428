"""tools/analysis/inspect_targets.py as a user calls it."""

import csv
import json

import numpy as np
import pytest
import torch
from PIL import Image

from tools.analysis import inspect_targets


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        inspect_targets.main(["--help"])
    assert ended.value.code == 0 and "config" in capsys.readouterr().out


def test_figures_and_pictures_of_a_training(trained_faces, tmp_path, capsys):
    out = tmp_path / "targets"
    inspect_targets.main(
        [
            trained_faces.config, str(trained_faces.checkpoint),
            "--out-dir", str(out), "--num-faces", "2", "--animate",
            "--cfg-options", *trained_faces.options,
        ]
    )  # fmt: skip
    assert "target_rms" in capsys.readouterr().out
    written = sorted(path.name for path in out.iterdir())
    assert written == [
        "faces.png", "moves.csv", "moves.png", "summary.json", "targets.gif"
    ]  # fmt: skip
    # The annotation, and the targets after each of the two epochs.
    with Image.open(out / "targets.gif") as animation:
        assert animation.n_frames == 3
    assert json.loads((out / "summary.json").read_text())["all"]["mean_move"] >= 0
    with open(out / "moves.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 4 * 68


def test_a_checkpoint_without_targets_is_refused(trained_faces, tmp_path):
    plain = tmp_path / "plain.pth"
    torch.save(dict(state_dict={}, meta={}), plain)
    with pytest.raises(SystemExit, match="plain.pth holds no latent targets"):
        inspect_targets.main([trained_faces.config, str(plain)])


def test_checkpoints_of_a_run_up_to_the_one_named(tmp_path):
    for name in (
        "epoch_2",
        "epoch_10",
        "epoch_9",
        "epoch_11",
        "iter_3",
        "best_epoch_9",
    ):
        (tmp_path / f"{name}.pth").touch()
    kept = inspect_targets.kept_checkpoints(tmp_path / "epoch_10.pth")
    assert [(name, path.name) for name, path in kept] == [
        ("epoch 2", "epoch_2.pth"),
        ("epoch 9", "epoch_9.pth"),
        ("epoch 10", "epoch_10.pth"),
    ]
    alone = inspect_targets.kept_checkpoints(tmp_path / "best_epoch_9.pth")
    assert [name for name, _ in alone] == ["best_epoch_9"]


def test_which_faces_are_drawn():
    move = np.array([0, 5, 1, 9, 2.0])
    assert inspect_targets.choose_faces(move, 2, "moved") == [3, 1]
    assert inspect_targets.choose_faces(move, 3, "even") == [0, 2, 4]
    assert inspect_targets.choose_faces(move, 3) == [3, 0, 4]


def test_the_animated_sample_must_exist():
    keys, move = ("a", "b", "c"), np.array([1, 3, 2.0])
    assert inspect_targets.animated_sample("", keys, move) == 1
    assert inspect_targets.animated_sample("c", keys, move) == 2
    with pytest.raises(SystemExit, match="--animate d: no such training sample"):
        inspect_targets.animated_sample("d", keys, move)
