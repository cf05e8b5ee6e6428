"""The shell scripts that start several processes, with a launcher that only prints."""

import os
import subprocess

import pytest

from tests import ROOT


@pytest.fixture
def launched(tmp_path):
    """Give ``launched(script, *arguments)``: what the launcher was given."""
    for name in ("srun", "torchrun"):
        fake = tmp_path / name
        fake.write_text('#!/bin/sh\nprintf \'%s\\n\' "$0" "$@"\n')
        fake.chmod(0o755)

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
    assert words[0].endswith("torchrun") and "--nproc_per_node=4" in words
    assert "--master_port=29501" in words
    code, words, _ = launched(
        f"slurm_{script}", "fast", "my job", *files, *flags,
        GPUS="16", SRUN_ARGS="--quiet --exclusive",
    )  # fmt: skip
    assert code == 0 and words[0].endswith("srun")
    assert words[1:] == [
        "-p", "fast", "--job-name=my job", "--gres=gpu:8", "--ntasks=16",
        "--ntasks-per-node=8", "--cpus-per-task=5", "--kill-on-bad-exit=1",
        "--quiet", "--exclusive", "python", "-u", *command,
        "--launcher", "slurm", *flags,
    ]  # fmt: skip


@pytest.mark.parametrize(
    "script", ["dist_train", "dist_test", "slurm_train", "slurm_test"]
)
def test_too_few_arguments_print_the_usage(launched, script):
    code, words, said = launched(f"{script}.sh", "config.py")
    assert code == 2 and not words and "usage:" in said
