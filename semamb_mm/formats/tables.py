"""Tables as text files."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .files import atomic_write


def write_csv(
    path: str | os.PathLike, header: Sequence[str], rows: Iterable[Sequence]
) -> None:
    """Write a table with its column names first. The file appears whole, or not.

    Args:
        path: The file; missing folders are made.
        header: Names of the columns.
        rows: A cell a column each.
    """
    with atomic_write(path, newline="") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def read_columns(
    path: str | os.PathLike, names: Sequence[str], count_first: bool = False
) -> list[list[str]]:
    """Return the rows of a text table whose cells are divided by blanks.

    Args:
        path: The file. A line with these names stands before the rows.
        names: Of the columns.
        count_first: Whether the number of rows stands before the names.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: On another header, a row with other cells, or another number of
            rows than is said.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}; is data_root the unpacked data set?")
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    start = int(count_first)
    line = " ".join(names)
    if len(lines) <= start or lines[start].split() != list(names):
        raise ValueError(f"{path}, line {start + 1}: expected {line!r}")
    rows = [text.split() for text in lines[start + 1 :]]
    for number, row in enumerate(rows, start=start + 2):
        if len(row) != len(names):
            raise ValueError(
                f"{path}, line {number}: expected {len(names)} cells ({line}), got "
                f"{lines[number - 1]!r}"
            )
    if count_first and lines[0].strip() != str(len(rows)):
        raise ValueError(
            f"{path}: line 1 promises {lines[0]!r} rows, there are {len(rows)}; is the "
            "file whole?"
        )
    return rows
