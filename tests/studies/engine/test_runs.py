"""studies/engine/runs.py: what is trained, once, from which config, in which order."""

import os
import subprocess
from pathlib import Path

import pytest
from mmengine.config import Config

from studies.engine import (
    Made,
    Run,
    measured,
    runs,
    scheduled,
    train_all,
    validations,
)

CONFIG = """
data_root = '{{$DATA_ROOT:data}}'
train_cfg = dict(max_epochs=4)
param_scheduler = []
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """Make a run; tools are called without doing anything, but for checkpoints."""
    path = tmp_path / "config.py"
    path.write_text(CONFIG)
    calls = []

    def call(command, stdout, stderr, env, check):
        calls.append([*map(str, command[1:]), env])
        print("said", file=stdout)
        if "fail" in str(command):
            return subprocess.CompletedProcess(command, 1)
        config = Config.fromfile(command[2])
        folder = Path(command[4])
        for epoch in range(1, config.train_cfg.max_epochs + 1):
            (folder / f"epoch_{epoch}.pth").touch()
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(runs.subprocess, "run", call)

    def make(*names, seed=0, **options):
        return Run(names, seed, tmp_path / "work", path, **options)

    make.calls = calls
    return make


def test_a_run_is_trained_once_from_the_config_in_its_folder(study, monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    run = study("case", "a, b=1", seed=3, changes=(scheduled(2),), data_root=Path("x"))
    assert run.folder.parts[-3:] == ("case", "a__b=1", "seed3")
    assert run.key == ("case", "a, b=1", 3) and run.epochs == 2 and not run.finished
    train_all([run], 1)
    train_all([run], 1)
    ((script, *arguments, env),) = study.calls
    assert script == str(runs.ROOT / "tools/train.py")
    assert arguments == [str(run.planned), "--work-dir", str(run.folder), "--resume"]
    assert env["OMP_NUM_THREADS"] == "1"
    assert env["PYTHONPATH"].split(os.pathsep)[0] == str(runs.ROOT)
    config = Config.fromfile(run.planned)
    assert config.randomness.seed == 3 and config.train_cfg.max_epochs == 2
    assert config.data_root == "x" and os.environ.get("DATA_ROOT") != "x"
    assert (run.folder / "train.log").read_text() == "said\n"
    assert run.finished


def test_a_shared_beginning_is_trained_once(study):
    first = study("plain")
    late = study("late", after=first, start=2)
    later = study("later", after=first, start=3)
    train_all([late, later], 2)
    assert [call[3] for call in study.calls][0] == str(first.folder)
    resumed = {call[3]: call[5] for call in study.calls[1:]}
    assert resumed == {
        str(late.folder): str(first.folder / "epoch_2.pth"),
        str(later.folder): str(first.folder / "epoch_3.pth"),
    }
    # A stopped run goes on from its own checkpoint.
    late.checkpoint.unlink()
    (late.folder / "last_checkpoint").touch()
    train_all([late], 1)
    assert len(study.calls) == 4 and study.calls[-1][4] == "--resume"
    assert len(study.calls[-1]) == 6


def test_a_run_begins_with_the_weights_of_another(study):
    first = study("detector")
    second = study("refiner", after=first)
    assert second.resolved.load_from == str(first.checkpoint)
    train_all([second], 1)
    assert [call[3] for call in study.calls] == [str(first.folder), str(second.folder)]
    # What is needed for nothing is not trained again.
    first.checkpoint.unlink()
    train_all([second], 1)
    assert len(study.calls) == 2


def test_a_folder_is_not_used_for_another_config(study):
    train_all([study("case")], 1)
    other = study("case", changes=(scheduled(5),))
    with pytest.raises(SystemExit, match="max_epochs was 4, is 5.*another --work-dir"):
        train_all([other], 1)
    assert len(study.calls) == 1


def test_a_failed_run_names_its_log(study):
    run = study("fail")
    with pytest.raises(SystemExit, match=r"training failed, see .*train\.log"):
        train_all([run], 1)


def test_figures_are_measured_once(study):
    run, calls = study("case"), []
    for _ in range(2):
        figures = measured(run, lambda run: calls.append(run.key) or dict(NME=1.5))
        assert figures == dict(NME=1.5)
    assert calls == [("case", 0)]


def test_validations_of_all_logs(study):
    run = study("case")
    for name, lines in (
        (
            "1",
            '{"NME/a": 3, "step": 2}\n{"loss": 1, "step": 9}\n{"NME/a": 9, "step": 4}',
        ),
        ("2", '{"NME/a": 2, "step": 4}\n{"NME/a": 1, "step": 6}'),
    ):
        log = run.folder / name / "vis_data" / "scalars.json"
        log.parent.mkdir(parents=True)
        log.write_text(lines)
    curve = {epoch: row["NME/a"] for epoch, row in validations(run, "NME/").items()}
    assert curve == {2: 3, 4: 2}


def test_a_file_is_made_before_the_run_that_needs_it_and_after_another(
    study, tmp_path, monkeypatch
):
    plain = study("plain")
    made = Made(tmp_path / "targets.npz", ("tools/make.py", "of", plain.planned), plain)
    again = study("again", needs=made)
    tools = []

    def tool(command, log, what):
        tools.append(command[0])
        if command[0] == "tools/make.py":
            assert plain.finished and not again.finished
            made.path.touch()
        else:
            (Path(command[3]) / "epoch_4.pth").touch()

    monkeypatch.setattr(runs, "run_tool", tool)
    train_all([again], 2)
    assert tools == ["tools/train.py", "tools/make.py", "tools/train.py"]
    again.checkpoint.unlink()
    train_all([again], 1)
    assert tools[3:] == ["tools/train.py"]
