"""A corrected copy of data sets: what a person decided, and nothing else.

The original is never written to.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from semamb_mm.formats.files import atomic_folder
from semamb_mm.formats.tables import write_csv

from .decisions import Decision, Decisions, DecisionsError
from .sources import Change, Source

LOG = "changes.csv"
_COLUMNS = (
    *("sample", "landmark", "decision", "old_x", "old_y"),
    *("new_x", "new_y", "moved_px", "old_flag", "new_flag"),
)
_TOLERANCE = 0.02  # pixels; the page rounds


def write_corrected(
    decisions: Decisions,
    sources: Sequence[Source],
    out_dir: str | os.PathLike,
    hidden: int = 1,
) -> list[Change]:
    """Write a corrected copy of data sets, and ``changes.csv`` with what changed.

    The folder appears whole or not at all.

    Args:
        decisions: Of the review page.
        sources: The audited data sets, in the order of the config.
        out_dir: A new folder; with several data sets each has a folder in it, by its
            number.
        hidden: The flag of what is hidden, where the format has one: 1 is COCO's, 0
            leaves the landmark out of MMPose's training.

    Returns:
        The changes, also those that are in the log alone because ``.pts`` files have
        no flag.

    Raises:
        DecisionsError: If a sample is unknown, or is annotated in another way than it
            was when the page was made.
        FileExistsError: If there is such a folder.
        ValueError: If the folder lies inside a data set, or a file cannot be read.
    """
    for source in sources:
        if Path(out_dir).resolve().is_relative_to(source.where.resolve()):
            raise ValueError(
                f"{out_dir} lies inside the data set {source.where}: name a folder "
                "elsewhere, the original is never touched"
            )
    located = _located(decisions, sources)
    _check_fresh(decisions, sources, located)
    changes = []
    with atomic_folder(out_dir) as folder:
        for number, source in enumerate(sources):
            decided: dict[str, list[Decision]] = {}
            for decision, (owner, key) in zip(decisions.decisions, located):
                if owner == number and decision.changes:
                    decided.setdefault(key, []).append(decision)
            part = folder / str(number) if len(sources) > 1 else folder
            part.mkdir(exist_ok=True)
            changes += source.write(part, decided, hidden)
        write_csv(folder / LOG, _COLUMNS, map(_row, changes))
    return changes


def _located(decisions: Decisions, sources: Sequence[Source]) -> list[tuple[int, str]]:
    """Return each decision's data set, by its number, and its sample's key there."""
    places, unknown = {}, []
    for sample in dict.fromkeys(d.sample for d in decisions.decisions):
        place = _locate(sample, sources)
        if place is None:
            unknown.append(sample)
        else:
            places[sample] = place
    if unknown:
        names = ", ".join(str(source.where) for source in sources)
        raise DecisionsError(
            f"{decisions.path}: {len(unknown)} of {len(unknown) + len(places)} samples "
            f"are not in {names}, such as "
            f"{unknown[0]!r}; name the data set that was audited: its annotation file "
            "(.json), or its data_root"
        )
    return [places[d.sample] for d in decisions.decisions]


def _locate(sample: str, sources: Sequence[Source]) -> tuple[int, str] | None:
    """Find a sample by its key; a later data set's number stands before a used one."""
    for number, source in enumerate(sources):
        if sample in source:
            return number, sample
    numbered = re.fullmatch(r"(\d{1,4}):(.*)", sample, re.DOTALL)
    if numbered and int(numbered[1]) < len(sources):
        number, key = int(numbered[1]), numbered[2]
        if key in sources[number]:
            return number, key
    return None


def _check_fresh(
    decisions: Decisions, sources: Sequence[Source], located: Sequence[tuple[int, str]]
) -> None:
    """Refuse a data set that is annotated in another way than the page showed."""
    read = {(owner, key): sources[owner].keypoints(key) for owner, key in set(located)}
    shifts = np.array(
        [
            read[place][decision.landmark] - decision.annotation
            for decision, place in zip(decisions.decisions, located)
        ]
    ).reshape(-1, 2)
    stale = np.flatnonzero(~(np.abs(shifts) <= _TOLERANCE).all(1))
    if not len(stale):
        return
    first = decisions.decisions[stale[0]]
    now = np.add(first.annotation, shifts[stale[0]])
    hint = "Was the data corrected since? Make the page anew, from the data as it is"
    for origin in (1, -1):
        if (np.abs(shifts - origin) <= _TOLERANCE).all():
            hint = "All differ by one pixel: see --origin"
    raise DecisionsError(
        f"{decisions.path}: {len(stale)} of {len(shifts)} decided landmarks are "
        f"annotated elsewhere than on the review page: landmark {first.landmark} of "
        f"{first.sample!r} was at ({first.annotation[0]:g}, {first.annotation[1]:g}) "
        f"and is at ({now[0]:.2f}, {now[1]:.2f}). {hint}"
    )


def _row(change: Change) -> list:
    """Return the cells of :data:`_COLUMNS`."""
    decision = change.decision
    old = decision.annotation
    new = decision.point or old
    moved = np.linalg.norm(np.subtract(new, old))
    row = [decision.sample, decision.landmark, decision.kind]
    row += [f"{value:.3f}" for value in (*old, *new, moved)]
    return row + list(change.flags or ("", ""))
