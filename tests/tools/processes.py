"""Scripts in a process of their own, as a user starts them."""

import os
import subprocess
import sys
from types import SimpleNamespace

from semamb_mm.pose.finished import fold_runs
from tests import ROOT
from tools import cross_fit, train


def run(*command, **env):
    """Run ``python COMMAND`` in the repository's root; ``env`` is added."""
    return subprocess.run(
        [sys.executable, *map(str, command)],
        cwd=ROOT,
        env=dict(os.environ, OMP_NUM_THREADS="1", **env),
        capture_output=True,
        text=True,
        check=False,
    )


def train_folds_here(patch, commands):
    """Train folds in this process, which is quicker, and note their commands."""

    def train_here(command, check):
        commands.append(command)
        assert command[:2] == [sys.executable, str(cross_fit.TRAIN)]
        train.main(command[2:])
        return SimpleNamespace(returncode=0)

    patch.setattr(fold_runs, "subprocess", SimpleNamespace(run=train_here))
