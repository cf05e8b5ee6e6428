"""Trainings of cross-fitting, one process after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from semamb_mm.formats.files import atomic_path, atomic_write


@dataclass(frozen=True)
class FoldRun:
    """A training without one fold.

    Attributes:
        folder: Of its checkpoints, logs and what its detector finds.
        seed: Of the training.
        config: Without the fold, see ``keep_rows``.
    """

    folder: Path
    seed: int
    config: Config

    @property
    def _marker(self) -> Path:
        return self.folder / "finished.json"

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self._marker.is_file()

    @property
    def checkpoint(self) -> Path:
        """The last one of a finished training."""
        return self.folder / json.loads(self._marker.read_text())["checkpoint"]

    def train(self, script: Path, gpus: int = 1) -> None:
        """Train by a script in a process of its own; go on where it stopped.

        Nothing is validated and no checkpoint chosen: the last one counts.

        Args:
            script: This package's ``tools/train.py``.
            gpus: Processes of the training, one a GPU.

        Raises:
            SystemExit: If the training fails.
        """
        config = self.config
        config.randomness = dict(config.get("randomness") or {}, seed=self.seed)
        config.setdefault("default_hooks", {})
        config.default_hooks.setdefault("checkpoint", dict(type="CheckpointHook"))
        config.default_hooks.checkpoint.max_keep_ckpts = 1
        plan = self.folder / "planned" / "config.py"
        with atomic_path(plan) as path:
            config.dump(path)
        command = [*_launcher(gpus), str(script), str(plan)]
        command += ["--work-dir", str(self.folder), "--resume", "--no-validate"]
        if gpus > 1:
            command += ["--launcher", "pytorch"]
        done = subprocess.run(command, check=False)
        if done.returncode:
            raise SystemExit(
                f"the training in {self.folder} failed; the command was: "
                f"{' '.join(command)}"
            )
        last = Path((self.folder / "last_checkpoint").read_text().strip()).name
        with atomic_write(self._marker) as file:
            json.dump(dict(checkpoint=last), file)


def _launcher(gpus: int) -> Sequence[str]:
    if gpus == 1:
        return [sys.executable]
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        f"--nproc_per_node={gpus}",
    ]
