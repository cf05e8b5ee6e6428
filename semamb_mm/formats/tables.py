"""Tables as comma-separated files."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence

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
