"""Trainings of cross-fitting, one process after the other."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from semamb_mm.formats.files import atomic_path, atomic_write

from .folds import check_rows, keep_rows


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


class FoldPlans:
    """What trains without each fold, and which samples that holds out.

    Args:
        config: Trains with all; stays as it is.
        samples: Of its train data set, see :func:`located_samples`.
        keys: Of the samples.
        folds: Of the samples, from 0.

    Attributes:
        first_seed: The config's own, or 0.

    Raises:
        ValueError: See :func:`check_rows`.
    """

    def __init__(
        self, config: Config, samples: Sequence, keys: Sequence[str], folds: list[int]
    ) -> None:
        self.first_seed = int((config.get("randomness") or {}).get("seed") or 0)
        numbers = range(max(folds) + 1)
        self._held_out = [
            [row for row, other in enumerate(folds) if other == fold]
            for fold in numbers
        ]
        kept = [
            [row for row, other in enumerate(folds) if other != fold]
            for fold in numbers
        ]
        self._configs = [keep_rows(config, samples, rows) for rows in kept]
        check_rows(self._configs[0], [keys[row] for row in kept[0]])

    def runs(
        self, work_dir: Path, seed: int, script: Path, gpus: int = 1, name: str = ""
    ) -> Iterator[tuple[FoldRun, list[int]]]:
        """Yield each fold's finished run and the samples it holds out.

        What is not trained yet is trained when its turn comes.

        Args:
            work_dir: Holds a folder ``<name>fold<number>`` for each.
            seed: Of the trainings.
            script: This package's ``tools/train.py``.
            gpus: Processes of each training.
            name: Before the folds' own.
        """
        for fold, (config, rows) in enumerate(zip(self._configs, self._held_out)):
            run = FoldRun(work_dir / f"{name}fold{fold}", seed, config)
            print(f"seed {seed}, fold {fold}: {len(rows)} samples held out", flush=True)
            if not run.finished:
                run.train(script, gpus)
            yield run, rows


def _launcher(gpus: int) -> Sequence[str]:
    if gpus == 1:
        return [sys.executable]
    return [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
        f"--nproc_per_node={gpus}",
    ]
