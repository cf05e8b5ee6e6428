"""Scripts in a process of their own, as a user starts them."""

import os
import subprocess
import sys

from tests import ROOT


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
