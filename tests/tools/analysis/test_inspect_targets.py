"""tools/analysis/inspect_targets.py as a user calls it."""

import csv
import json

import pytest
import torch

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
            "--out-dir", str(out), "--num-faces", "2",
            "--cfg-options", *trained_faces.options,
        ]
    )  # fmt: skip
    assert "target_rms" in capsys.readouterr().out
    written = sorted(path.name for path in out.iterdir())
    assert written == ["faces.png", "moves.csv", "moves.png", "summary.json"]
    assert json.loads((out / "summary.json").read_text())["all"]["mean_move"] >= 0
    with open(out / "moves.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 4 * 68


def test_a_checkpoint_without_targets_is_refused(trained_faces, tmp_path):
    plain = tmp_path / "plain.pth"
    torch.save(dict(state_dict={}, meta={}), plain)
    with pytest.raises(SystemExit, match="plain.pth holds no latent targets"):
        inspect_targets.main([trained_faces.config, str(plain)])
