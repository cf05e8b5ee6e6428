"""Faces that a metric has measured, their figures and tables of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from semamb_mm.faces.errors import mean_visible

# What tables, curves and files call all faces, beside the groups.
ALL_FACES = "all"
_CELL = 8


@dataclass(frozen=True)
class MeasuredFaces:
    """N faces that could be measured.

    Attributes:
        names: ``(N,)``, usually the image's path.
        labels: Kind, such as ``'group'``, to the ``(N,)`` names of what each face
            belongs to; ``''`` for a face that belongs to nothing of the kind.
        relative: Norm to ``(N, K)`` errors as fractions of it, NaN where a landmark
            is not measured; each face has one that is.
        averages: Figure to its ``(N,)`` values; NaN where a face has none.
    """

    names: np.ndarray
    labels: Mapping[str, np.ndarray]
    relative: Mapping[str, np.ndarray]
    averages: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.names)

    def select(self, chosen: np.ndarray) -> MeasuredFaces:
        """Return the faces for which ``chosen`` ``(N,)`` is true."""
        parts = (self.labels, self.relative, self.averages)
        parts = ({key: value[chosen] for key, value in p.items()} for p in parts)
        return MeasuredFaces(self.names[chosen], *parts)

    def by(self, kind: str) -> Iterator[tuple[str, MeasuredFaces]]:
        """Yield the faces of each name of a kind of labels, in the names' order."""
        labels = self.labels.get(kind, np.empty(0, str))
        for name in np.unique(labels[labels != ""]):
            yield str(name), self.select(labels == name)

    def errors(self) -> dict[str, np.ndarray]:
        """Return norms to the ``(N,)`` mean error of each face."""
        return {norm: mean_visible(e, axis=1) for norm, e in self.relative.items()}

    def everyone_and(self, kind: str) -> dict[str, MeasuredFaces]:
        """Return all faces, under :data:`ALL_FACES`, then those of each name."""
        return {ALL_FACES: self, **dict(self.by(kind))}

    def error_curves(self, kind: str) -> Iterator[tuple]:
        """Yield rows of the cumulative error curves of all faces and of each name's.

        A row is the name, the share of its faces and, for each norm, the error that
        this share does not exceed.
        """
        for name, faces in self.everyone_and(kind).items():
            shares = np.arange(1, len(faces) + 1) / len(faces)
            for row in zip(shares, *map(np.sort, faces.errors().values())):
                yield (name, *row)


class Evaluation(NamedTuple):
    """The outcome of an evaluation, to be written.

    Attributes:
        metrics: Figure to its value, a fraction.
        faces: Those that could be measured.
        skipped: Fault to the names of the faces that have it.
    """

    metrics: Mapping[str, float]
    faces: MeasuredFaces
    skipped: Mapping[str, Sequence[str]]


def percent_table(rows: Mapping[str, Mapping[str, float]]) -> str:
    """Return text lines of figures in percent: row to column to a fraction."""
    columns = dict.fromkeys(column for row in rows.values() for column in row)
    widths = {column: max(_CELL, len(column)) + 2 for column in columns}
    titles = max(map(len, rows))
    lines = [" " * titles + "".join(f"{c:>{width}}" for c, width in widths.items())]
    for title, row in rows.items():
        cells = (f"{100 * row[c]:.2f}" if c in row else "-" for c in columns)
        lines.append(
            f"{title:<{titles}}"
            + "".join(f"{cell:>{width}}" for cell, width in zip(cells, widths.values()))
        )
    return "\n".join(lines)
