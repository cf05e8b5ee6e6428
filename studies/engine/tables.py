"""Tables: Markdown with mean and spread over seeds, csv files."""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterable, Mapping, Sequence

from scipy.stats import t

from semamb_mm.formats.tables import write_csv as write_table


def markdown(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """Return a Markdown table, without a newline at its end."""
    lines = ["| " + " | ".join(map(str, head)) + " |", "|---" * len(head) + "|"]
    lines += ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    return "\n".join(lines)


def spread(values: Iterable[float], digits: int = 2, how: str = "sd") -> str:
    """Return the mean over seeds and how far they lie apart; of none, an empty cell.

    Args:
        values: One of each seed.
        digits: Behind the point.
        how: ``sd`` for mean ± standard deviation, ``range`` for the least and the
            greatest in brackets.
    """
    values = list(values)
    if not values:
        return ""
    text = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return text
    if how == "range":
        return f"{text} ({min(values):.{digits}f}-{max(values):.{digits}f})"
    return f"{text} ± {statistics.stdev(values):.{digits}f}"


def paired(
    ours: Mapping[int, float], theirs: Mapping[int, float], digits: int = 1
) -> str:
    """Return the mean difference over common seeds and its 95 % t interval.

    Args:
        ours: Seed to figure.
        theirs: The same, taken away.
        digits: Behind the point.

    Returns:
        ``+1.2 (-0.3 to +2.7)``; without an interval for one seed, empty for none.
    """
    differences = [ours[seed] - theirs[seed] for seed in ours if seed in theirs]
    if not differences:
        return ""
    mean = statistics.mean(differences)
    text = f"{mean:+.{digits}f}"
    if len(differences) == 1:
        return text
    error = statistics.stdev(differences) / len(differences) ** 0.5
    half = float(t.ppf(0.975, len(differences) - 1)) * error
    return f"{text} ({mean - half:+.{digits}f} to {mean + half:+.{digits}f})"


def rounded(figures: Mapping[str, float], digits: int = 4) -> dict[str, str]:
    """Return figures as a csv file holds them."""
    return {name: f"{value:.{digits}f}" for name, value in figures.items()}


def write_csv(path: str | os.PathLike, rows: Sequence[Mapping[str, object]]) -> None:
    """Write rows under all the names they have; what a row lacks is left empty."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    write_table(path, names, ([row.get(name, "") for name in names] for row in rows))
