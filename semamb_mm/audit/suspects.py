"""The labels that a training shall leave out, from a file that the audit led to."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .decisions import Point, read_decisions

# Positions are written with two digits at least.
_TOLERANCE = 0.02
_WHAT = (
    "expected landmarks.csv of tools/analysis/audit_annotations.py, a table with "
    "columns 'sample' and 'landmark', or the .json file that a review page exports"
)


class SuspectsError(ValueError):
    """A file of suspects that cannot be used; the message names file and entry."""


@dataclass(frozen=True)
class Suspect:
    """A label that is left out.

    Attributes:
        sample: Its key.
        landmark: Its number, from 0.
        annotation: Where the audit saw it, image pixels; None if the file has no word.
        where: The file and the entry, for messages.
    """

    sample: str
    landmark: int
    annotation: Point | None
    where: str


def read_suspects(path: str | os.PathLike) -> list[Suspect]:
    """Read which labels are suspects.

    Args:
        path: Either a ``.csv`` table with columns ``sample`` and ``landmark``: rows
            with a 1 in column ``suspect``, or all without one; ``annotation_x`` and
            ``annotation_y`` tell whether it is of these annotations. Or the ``.json``
            file of a review page: what was accepted, moved or hidden there. What was
            kept or skipped is no suspect.

    Raises:
        SuspectsError: If it is none of both, or an entry cannot be read.
        DecisionsError: On a ``.json`` file that no review page exports.
        FileNotFoundError: If there is no such file.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file of suspects {path}; {_WHAT}")
    if path.suffix == ".json":
        return [
            Suspect(d.sample, d.landmark, d.annotation, str(path))
            for d in read_decisions(path).decisions
            if d.changes
        ]
    if path.suffix != ".csv":
        raise SuspectsError(f"{path}: neither .csv nor .json; {_WHAT}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return list(_rows(path, csv.DictReader(file)))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SuspectsError(f"{path}: not a table ({error}); {_WHAT}") from error


def _rows(path: Path, reader: csv.DictReader) -> Iterator[Suspect]:
    names = reader.fieldnames or []
    if not {"sample", "landmark"} <= set(names):
        raise SuspectsError(f"{path}: its columns are {list(names)}; {_WHAT}")
    for row in reader:
        where = f"{path}, line {reader.line_num}"
        chosen = row.get("suspect", "1")
        if chosen not in ("0", "1"):
            raise SuspectsError(f"{where}: suspect is {chosen!r}; expected 0 or 1")
        if chosen == "1":
            yield _suspect(where, row)


def _suspect(where: str, row: Mapping[str, str]) -> Suspect:
    try:
        landmark = int(row["landmark"])
        annotation = None
        if "annotation_x" in row and "annotation_y" in row:
            annotation = float(row["annotation_x"]), float(row["annotation_y"])
    except (TypeError, ValueError) as error:
        raise SuspectsError(
            f"{where}: {error}; expected a number in 'landmark' and in 'annotation_x' "
            "and 'annotation_y', if there are any"
        ) from error
    return Suspect(row["sample"], landmark, annotation, where)


def suspect_mask(
    suspects: Sequence[Suspect],
    keys: Sequence[str],
    annotations: np.ndarray,
    visible: np.ndarray,
    subset: bool = False,
) -> np.ndarray:
    """Return which labels of a data set are suspects, ``(N, K)`` bool.

    Args:
        suspects: Those of a file.
        keys: ``N`` sample keys.
        annotations: ``(N, K, 2)`` image pixels.
        visible: ``(N, K)`` bool, where landmarks are annotated.
        subset: Whether suspects may be of other samples, too.

    Raises:
        SuspectsError: If the data set lacks a sample (without ``subset``), a landmark
            or its annotation, or has it elsewhere.
    """
    rows, landmarks = {key: row for row, key in enumerate(keys)}, visible.shape[1]
    mask = np.zeros(visible.shape, bool)
    for suspect in suspects:
        row, k = rows.get(suspect.sample), suspect.landmark
        name = f"{suspect.where}: landmark {k} of sample {suspect.sample!r}"
        if row is None and subset:
            continue
        if row is None:
            raise SuspectsError(
                f"{name}: the train data set has no such sample; it has {len(keys)}, "
                f"such as {keys[0]!r}. Audit the data set that is trained on, or give "
                "subset=True"
            )
        if not 0 <= k < landmarks:
            raise SuspectsError(
                f"{name}: the train data set's landmarks are 0 to {landmarks - 1}"
            )
        if not visible[row, k]:
            raise SuspectsError(
                f"{name}: it is not annotated in the train data set, so there is "
                "nothing to leave out. Take the line out, or audit anew"
            )
        seen, now = suspect.annotation, annotations[row, k]
        if seen is not None and not np.abs(now - np.array(seen)).max() <= _TOLERANCE:
            raise SuspectsError(
                f"{name}: it was annotated at ({seen[0]:g}, {seen[1]:g}) and is now at "
                f"({now[0]:.2f}, {now[1]:.2f}). Audit these annotations anew"
            )
        mask[row, k] = True
    return mask
