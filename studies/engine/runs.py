"""Runs: one training each, of a config with changes, in a folder of its own.

A run is trained by ``tools/train.py`` in a process of its own. What is finished is not
trained again and what was stopped goes on. A folder keeps the config that its run was
begun with, and is not used for another.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path

from mmengine.config import Config

from semamb_mm.formats.files import atomic_path, atomic_write

from .changes import Change

ROOT = Path(__file__).resolve().parents[2]
NOTHING_FINISHED = "no training is finished yet: nothing to report"


@dataclass(frozen=True)
class Made:
    """A file that a tool of the repository makes before a run is trained.

    Attributes:
        path: The file. It is made if it is not there; the tool writes it
            whole or not at all, and goes on where it was stopped.
        command: The script, relative to the repository, and its arguments.
        after: A run to train first.
    """

    path: Path
    command: tuple[object, ...]
    after: Run | None = None

    def make(self) -> None:
        """Make the file if it is not there.

        Raises:
            SystemExit: If the tool fails.
        """
        if not self.path.exists():
            log = self.path.with_name(f"{self.path.name}.log")
            run_tool(self.command, log, f"{self.path}: {self.command[0]}")


@dataclass(frozen=True)
class Run:
    """One training.

    Attributes:
        names: What it belongs to, from the whole to the part; its folder's name.
        seed: Of the training.
        work_dir: Folder of the study's runs.
        config: The config file that the changes are made to.
        changes: Made in this order.
        data_root: ``DATA_ROOT`` of the config, if not the environment's.
        after: A run to train first, whose weights this one begins with.
        start: Epochs that it shares with ``after``: it resumes from that run's
            checkpoint of this epoch, which gives what an uninterrupted run gives.
        needs: A file to make first.
    """

    names: tuple[str, ...]
    seed: int
    work_dir: Path
    config: Path = field(compare=False)
    changes: tuple[Change, ...] = field(default=(), compare=False)
    data_root: Path | None = field(default=None, compare=False)
    after: Run | None = field(default=None, compare=False)
    start: int | None = field(default=None, compare=False)
    needs: Made | None = field(default=None, compare=False)

    @property
    def key(self) -> tuple[str | int, ...]:
        """What figures are kept by."""
        return (*self.names, self.seed)

    @property
    def folder(self) -> Path:
        """Of its checkpoints and logs."""
        clean = (
            "".join(c if c.isalnum() or c in "=.-" else "_" for c in name)
            for name in (*self.names, f"seed{self.seed}")
        )
        return Path(self.work_dir).resolve().joinpath(*clean)

    @cached_property
    def resolved(self) -> Config:
        """The config that it trains, with all changes."""
        config = copy.deepcopy(_open_config(self.config, self.data_root))
        config.merge_from_dict(dict(randomness=dict(seed=self.seed)))
        for change in self.changes:
            change(config)
        if self.after is not None and self.start is None:
            config.load_from = str(self.after.checkpoint)
        return config

    @property
    def epochs(self) -> int:
        """Its budget."""
        return self.resolved.train_cfg.max_epochs

    @property
    def checkpoint(self) -> Path:
        """Of its last epoch."""
        return self.folder / f"epoch_{self.epochs}.pth"

    @property
    def finished(self) -> bool:
        """Whether there is nothing left to train."""
        return self.checkpoint.exists()

    @property
    def planned(self) -> Path:
        """The config file that it is trained from."""
        # Not in the folder itself: the Runner writes its own copy there.
        return self.folder / "planned" / "config.py"


@cache
def _open_config(path: Path, data_root: Path | None) -> Config:
    """Open a config as if ``DATA_ROOT`` were set to ``data_root``."""
    before = os.environ.get("DATA_ROOT")
    try:
        if data_root is not None:
            os.environ["DATA_ROOT"] = str(data_root)
        return Config.fromfile(path)
    finally:
        if data_root is not None:
            del os.environ["DATA_ROOT"]
            if before is not None:
                os.environ["DATA_ROOT"] = before


def train_all(runs: Sequence[Run], jobs: int) -> None:
    """Train what is not trained yet, ``jobs`` runs at a time.

    A run and those that come after it are trained one after the other.

    Raises:
        SystemExit: If a training fails, or a folder holds a run of another config.
    """
    todo = list(dict.fromkeys(run for last in runs for run in _unfinished(last)))
    for run in dict.fromkeys([*todo, *runs]):
        _plan(run, write=run in todo)
    chains: dict[Run, list[Run]] = {}
    for run in todo:
        chains.setdefault(_first(run), []).append(run)
    began, done, lock = time.time(), 0, threading.Lock()

    def work(chain: list[Run]) -> None:
        nonlocal done
        for run in chain:
            started = time.time()
            train(run)
            with lock:
                done += 1
                print(
                    f"[{done}/{len(todo)}] {', '.join(run.names)}, seed {run.seed}: "
                    f"{(time.time() - started) / 60:.1f} min; "
                    f"{(time.time() - began) / 60:.0f} min in all",
                    flush=True,
                )

    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(work, chains.values()))


def train(run: Run) -> None:
    """Train a run from its planned config; go on where it was stopped.

    Raises:
        SystemExit: If the training fails.
    """
    if run.needs is not None:
        run.needs.make()
    command = ["tools/train.py", run.planned, "--work-dir", run.folder, "--resume"]
    if run.start is not None and not (run.folder / "last_checkpoint").exists():
        command.append(run.after.folder / f"epoch_{run.start}.pth")
    run_tool(command, run.folder / "train.log", f"{run.folder}: training")


def run_tool(command: Sequence[object], log: Path, what: str) -> None:
    """Run a script of the repository in a process of its own.

    Args:
        command: The script, relative to the repository, and its arguments.
        log: File that its output is appended to.
        what: What fails if it fails.

    Raises:
        SystemExit: If it fails; names the log.
    """
    script, *arguments = command
    env = dict(os.environ)
    env.setdefault("OMP_NUM_THREADS", "1")
    # A config may import modules of the studies.
    paths = [str(ROOT), *filter(None, [env.get("PYTHONPATH")])]
    env["PYTHONPATH"] = os.pathsep.join(paths)
    log.parent.mkdir(parents=True, exist_ok=True)
    with open(log, "a") as file:
        done = subprocess.run(
            [sys.executable, str(ROOT / str(script)), *map(str, arguments)],
            stdout=file,
            stderr=file,
            env=env,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{what} failed, see {log}")


def validations(run: Run, wanted: str) -> dict[int, dict[str, float]]:
    """Return epoch to metrics of every validation, from the run's own logs.

    Args:
        run: A run, finished or not.
        wanted: How a metric's name begins that every validation has.
    """
    epochs = {}
    for path in sorted(run.folder.glob("*/vis_data/scalars.json")):
        for line in path.read_text().splitlines():
            record = json.loads(line)
            if any(key.startswith(wanted) for key in record):
                epochs[record["step"]] = record
    return {epoch: epochs[epoch] for epoch in sorted(epochs) if epoch <= run.epochs}


def measured(run: Run, measure: Callable[[Run], object]) -> object:
    """Return ``measure(run)``, what json can hold; kept beside the checkpoint."""
    path = run.folder / "figures.json"
    if not path.exists():
        figures = measure(run)
        with atomic_write(path) as file:
            json.dump(figures, file, indent=2)
    return json.loads(path.read_text())


def _unfinished(run: Run) -> Iterator[Run]:
    """Yield what must be trained to have this run, in order."""
    if not run.finished:
        before = _before(run)
        if before is not None:
            yield from _unfinished(before)
        yield run


def _before(run: Run) -> Run | None:
    """Return the run that must be trained before."""
    if run.after is None and run.needs is not None:
        return run.needs.after
    return run.after


def _first(run: Run) -> Run:
    before = _before(run)
    return run if before is None else _first(before)


def _plan(run: Run, write: bool) -> None:
    """Write the config of a run into its folder, or compare with what is there."""
    if run.planned.exists():
        begun = Config.fromfile(run.planned)
        differences = list(_differences(begun.to_dict(), run.resolved.to_dict()))
        if differences:
            raise SystemExit(
                f"{run.folder}: this run was begun with another config "
                f"({'; '.join(differences)}); take another --work-dir or delete "
                "the folder"
            )
    elif write:
        with atomic_path(run.planned) as temporary:
            run.resolved.dump(temporary)


def _differences(begun: object, asked: object, where: str = "") -> Iterable[str]:
    """Yield what differs between two nested settings."""
    if isinstance(begun, Mapping) and isinstance(asked, Mapping):
        for key in dict.fromkeys([*begun, *asked]):
            pair = begun.get(key), asked.get(key)
            yield from _differences(*pair, f"{where}.{key}" if where else str(key))
    elif begun != asked:
        yield f"{where} was {begun!r}, is {asked!r}"
