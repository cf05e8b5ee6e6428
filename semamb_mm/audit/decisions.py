"""What a person decided on a review page, read with suspicion."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

FORMAT = "semamb_mm decisions"
VERSION = 1
# What can be decided: the first two bring a new point, 'hidden' says that the landmark
# cannot be seen; the others leave everything as it is.
MOVING = ("accept", "move")
KINDS = (*MOVING, "hidden", "keep", "skip")

Point = tuple[float, float]


class DecisionsError(ValueError):
    """A decisions file that cannot be used; the message names file and entry."""


@dataclass(frozen=True)
class Decision:
    """What was decided about a landmark, in image pixels.

    Attributes:
        sample: Its key.
        landmark: Its number, from 0.
        kind: One of :data:`KINDS`.
        annotation: Where the page showed it to be annotated.
        point: Where it is to be; None if it stays.
    """

    sample: str
    landmark: int
    kind: str
    annotation: Point
    point: Point | None

    @property
    def changes(self) -> bool:
        """Whether the landmark does not stay as it is."""
        return self.kind in (*MOVING, "hidden")


@dataclass(frozen=True)
class Decisions:
    """A decisions file.

    Attributes:
        path: The file.
        fingerprint: Of the audit that asked.
        num_keypoints: Of each sample.
        decisions: Each landmark of a sample once.
    """

    path: str
    fingerprint: str
    num_keypoints: int
    decisions: tuple[Decision, ...]


def read_decisions(path: str | os.PathLike) -> Decisions:
    """Read the file that a review page exports.

    Raises:
        DecisionsError: If it is no such file, of another version, or holds what a page
            does not export: an unknown decision, a point that is not finite or lies
            outside its picture, a landmark twice.
        FileNotFoundError: If there is no such file.
    """
    content = _read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DecisionsError(
            f"{path}: not a decisions file; expected the .json file that a review page "
            "exports (key E)"
        )
    if content.get("version") != VERSION:
        raise DecisionsError(
            f"{path}: a decisions file of version {content.get('version')!r}; this "
            f"semamb_mm reads version {VERSION}. Update it, or make the page anew"
        )
    number = content.get("num_keypoints")
    samples, entries = content.get("samples"), content.get("decisions")
    if not (
        _is_count(number) and isinstance(samples, dict) and isinstance(entries, list)
    ):
        raise DecisionsError(
            f"{path}: 'num_keypoints', 'samples' or 'decisions' is missing or of "
            "another kind; export the file anew"
        )
    seen: dict[tuple[str, int], Decision] = {}
    for i, entry in enumerate(entries):
        where = f"{path}, decision {i} (counted from 0)"
        decision = _decision(where, entry, number, samples)
        if seen.setdefault((decision.sample, decision.landmark), decision) != decision:
            raise DecisionsError(
                f"{where}: landmark {decision.landmark} of {decision.sample!r} is "
                "decided twice; leave one of them"
            )
    fingerprint = str(content.get("fingerprint", ""))
    return Decisions(str(path), fingerprint, number, tuple(seen.values()))


def _read_json(path: str | os.PathLike) -> Any:
    def refuse(name: str) -> None:
        raise DecisionsError(f"{path}: holds {name}; expected finite numbers")

    try:
        text = Path(path).read_text(encoding="utf-8")
        return json.loads(text, parse_constant=refuse)
    except UnicodeDecodeError as error:
        raise DecisionsError(
            f"{path}: not a text file ({error.reason} at byte {error.start}); expected "
            "the .json file that a review page exports"
        ) from error
    except (json.JSONDecodeError, RecursionError) as error:
        raise DecisionsError(
            f"{path}: not json ({error}); expected the whole file that a review page "
            "exports"
        ) from error


def _decision(where: str, entry: Any, number: int, samples: Mapping) -> Decision:
    """Check an entry of a file whose samples have so many landmarks."""
    if not isinstance(entry, dict):
        raise DecisionsError(f"{where}: {entry!r}; expected an object")
    sample, landmark = entry.get("sample"), entry.get("landmark")
    if not isinstance(sample, str) or sample not in samples:
        raise DecisionsError(f"{where}: sample {sample!r} is not among its 'samples'")
    if not _is_count(landmark, least=0) or landmark >= number:
        raise DecisionsError(
            f"{where}: landmark {landmark!r} of {sample!r}; expected 0 to {number - 1}"
        )
    where += f", landmark {landmark} of {sample!r}"
    kind = entry.get("decision")
    if kind not in KINDS:
        raise DecisionsError(f"{where}: {kind!r}; expected one of {', '.join(KINDS)}")
    annotation = _point(where, "annotation", entry.get("annotation"))
    if kind not in MOVING:
        return Decision(sample, landmark, kind, annotation, None)
    point = _point(where, "point", entry.get("point"))
    _check_inside(where, point, samples[sample])
    return Decision(sample, landmark, kind, annotation, point)


def _point(where: str, name: str, value: Any) -> Point:
    if (
        isinstance(value, list)
        and len(value) == 2
        and all(isinstance(v, int | float) and not isinstance(v, bool) for v in value)
        # Numbers too large for a float are infinite, and whole ones no float at all.
        and all(abs(v) < 1e9 for v in value)
    ):
        return float(value[0]), float(value[1])
    raise DecisionsError(f"{where}: {name} {value!r}; expected two finite numbers")


def _check_inside(where: str, point: Point, sample: Any) -> None:
    size = sample.get("size") if isinstance(sample, dict) else None
    if not isinstance(size, list) or len(size) != 2 or not all(map(_is_count, size)):
        raise DecisionsError(
            f"{where}: 'samples' gives no size [width, height] of its picture, so the "
            "point cannot be checked"
        )
    if not all(-0.5 <= value < side - 0.5 for value, side in zip(point, size)):
        raise DecisionsError(
            f"{where}: point ({point[0]:g}, {point[1]:g}) lies outside the picture of "
            f"{size[0]} x {size[1]} px"
        )


def _is_count(value: Any, least: int = 1) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
