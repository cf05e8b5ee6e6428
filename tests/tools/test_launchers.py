"""The shell scripts that start several processes, with a launcher that only prints."""

import os
import subprocess
import sys

import pytest

from tests import ROOT

PRINT = 'printf "%s\\n" "$0" "$@"'
# A Python that has all that -c asks for.
HAS_ALL = f'[ "$1" = -c ] || {PRINT}'


def write(path, body):
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def launched(tmp_path):
    """Give ``launched(script, *arguments)``: what the launcher was given."""
    write(tmp_path / "srun", PRINT)
    write(tmp_path / "python", HAS_ALL)

    def run(script, *arguments, **env):
        path = f"{tmp_path}:{os.environ['PATH']}"
        done = subprocess.run(
            ["bash", ROOT / "tools" / script, *arguments],
            env=dict(os.environ, PATH=path, **env),
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout.splitlines(), done.stderr

    return run


@pytest.mark.parametrize(
    "script, tool, files",
    [
        ("train.sh", "train.py", ["config.py"]),
        ("test.sh", "test.py", ["config.py", "a checkpoint.pth"]),
    ],
)
def test_every_process_gets_the_command(launched, script, tool, files):
    flags = ["--cfg-options", "a=[1, 2]"]
    code, words, _ = launched(f"dist_{script}", *files, "4", *flags, PORT="29501")
    command = [str(ROOT / "tools" / tool), *files]
    assert code == 0 and words[-5 - len(files) :] == [
        *command, "--launcher", "pytorch", *flags,
    ]  # fmt: skip
    assert words[0].endswith("python") and words[1:3] == ["-m", "torch.distributed.run"]
    assert "--nproc_per_node=4" in words
    assert "--master_port=29501" in words
    code, words, _ = launched(
        f"slurm_{script}", "fast", "my job", *files, *flags,
        GPUS="16", SRUN_ARGS="--quiet --exclusive",
    )  # fmt: skip
    assert code == 0 and words[0].endswith("srun")
    assert words[1:] == [
        "-p", "fast", "--job-name=my job", "--gres=gpu:8", "--ntasks=16",
        "--ntasks-per-node=8", "--cpus-per-task=5", "--kill-on-bad-exit=1",
        "--quiet", "--exclusive", words[11], "-u", *command,
        "--launcher", "slurm", *flags,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "script", ["dist_train", "dist_test", "slurm_train", "slurm_test"]
)
def test_too_few_arguments_print_the_usage(launched, script):
    code, words, said = launched(f"{script}.sh", "config.py")
    assert code == 2 and not words and "usage:" in said


@pytest.fixture
def elsewhere(tmp_path):
    """Give ``elsewhere(python)``: dist_train.sh of a checkout, started in ours."""
    (tmp_path / "tools").mkdir()
    for name in ("dist_train.sh", "python_common.sh"):
        (tmp_path / "tools" / name).write_text((ROOT / "tools" / name).read_text())

    def run(python):
        return subprocess.run(
            ["bash", tmp_path / "tools" / "dist_train.sh", "config.py", "2"],
            cwd=ROOT,
            env=dict(os.environ, PYTHON=python),
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture
def bare(tmp_path):
    """A Python that would find the package in the current folder alone."""
    return write(tmp_path / "bare", f'exec {sys.executable} -S "$@"')


def test_without_an_interpreter_the_launcher_says_what_to_do(elsewhere, bare):
    done = elsewhere(bare)
    assert done.returncode == 1 and not done.stdout
    assert f"{bare} has not both torch and semamb_mm" in done.stderr
    assert "source .venv/bin/activate" in done.stderr


def test_the_checkouts_own_environment_is_found(elsewhere, bare, tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    write(tmp_path / ".venv" / "bin" / "python", HAS_ALL)
    done = elsewhere(bare)
    assert done.stdout.splitlines()[0].endswith("/.venv/bin/python"), done.stderr
    assert "--nproc_per_node=2" in done.stdout
