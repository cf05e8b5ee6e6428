"""tools/train.py as a user calls it."""

import shutil

import pytest

from tools import train

from .processes import run


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        train.main(["--help"])
    assert ended.value.code == 0 and "config" in capsys.readouterr().out


def test_a_training_goes_on_where_it_stopped(trained_faces, tmp_path):
    work = tmp_path / "work"
    shutil.copytree(trained_faces.folder, work)
    again = run(
        "tools/train.py", trained_faces.config, "--work-dir", work, "--resume",
        "--cfg-options", *trained_faces.options, "train_cfg.max_epochs=3",
    )  # fmt: skip
    assert again.returncode == 0, again.stderr[-2000:]
    assert "resumed epoch: 2" in again.stdout + again.stderr
    assert (work / "epoch_3.pth").is_file()
    left = [p.name for p in work.glob("*") if "unfinished" in p.name]
    assert left == []


@pytest.mark.parametrize("flag", ["--local_rank", "--local-rank"])
def test_both_spellings_of_local_rank(flag, monkeypatch):
    monkeypatch.delenv("LOCAL_RANK", raising=False)
    message = "config file no/such/config.py does not exist"
    with pytest.raises(SystemExit, match=message):
        train.main(["no/such/config.py", flag, "0"])
