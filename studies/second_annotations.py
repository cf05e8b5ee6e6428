"""Do targets of real faces come nearer to a second group's annotations?

Compares the targets that finished runs of ``studies.alignment real --cases "as
annotated"`` at --work-dir ended with, whichever methods have some, with what other
people marked in the same pictures: ``second_annotation.csv`` at DATA_ROOT, rows of
image, landmark, ibug_indices, x, y. ``38+37`` is the mean of two landmarks.

Two conventions differ by a mean offset of each landmark: it is taken out, of
annotations and of targets. Prints RMS differences in percent of the distance of the
outer eye corners, and by how much those of targets are less than those of annotations,
with the 95 % interval of a bootstrap over faces. The second annotations' own errors are
in both. Trains nothing.
"""

import argparse
import csv
import os
from pathlib import Path

import numpy as np

from semamb_mm.faces.landmarks import GROUPS_68
from semamb_mm.faces.sizes import face_unit

from . import alignment
from .engine import NOTHING_FINISHED, changed, markdown, saved_targets, study_parser

CASE = "as annotated"
REGIONS = ("contour", "brows", "nose", "eyes", "mouth", "all")


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/alignment_study")
    return parser.parse_args(argv)


def read_second(path: Path) -> tuple[list[str], list[tuple[int, ...]], np.ndarray]:
    """Return images, which landmarks each mark is the mean of, and the marks.

    Args:
        path: The csv file.

    Returns:
        ``N`` images without suffix, ``M`` tuples of landmarks from 0, and ``(N, M, 2)``
        pixels, not finite where an image lacks a mark.

    Raises:
        SystemExit: If there is no such file.
    """
    if not path.is_file():
        raise SystemExit(f"{path}: expected the second annotations there")
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    images = list(dict.fromkeys(row["image"] for row in rows))
    marks = list(dict.fromkeys(row["ibug_indices"] for row in rows))
    points = np.full((len(images), len(marks), 2), np.nan)
    for row in rows:
        place = images.index(row["image"]), marks.index(row["ibug_indices"])
        points[place] = float(row["x"]), float(row["y"])
    return images, [tuple(map(int, mark.split("+"))) for mark in marks], points


def at_marks(keypoints: np.ndarray, marks: list[tuple[int, ...]]) -> np.ndarray:
    """Return the marks' places ``(N, M, 2)`` by landmarks ``(N, 68, 2)``."""
    return np.stack([keypoints[:, list(mark)].mean(1) for mark in marks], 1)


def apart(points: np.ndarray, second: np.ndarray, unit: np.ndarray) -> np.ndarray:
    """Return squared differences ``(N, M)``, mean offsets taken out.

    Args:
        points: ``(N, M, 2)``, pixels.
        second: The same by the second group.
        unit: ``(N,)`` pixels.
    """
    difference = (points - second) / unit[:, None, None]
    return ((difference - np.nanmean(difference, 0)) ** 2).sum(-1)


def compared(
    before: np.ndarray, after: np.ndarray, draws: int = 4000
) -> tuple[float, float, float, float, float]:
    """Return both RMS in percent, the change in percent, and its interval.

    Args:
        before: ``(N, M)`` squared differences of annotations; see :func:`apart`.
        after: The same of targets.
        draws: Of the bootstrap.
    """
    sums = [np.nansum(squares, 1) for squares in (before, after)]
    change = changed(
        lambda weights: np.sqrt((weights @ sums[1]) / (weights @ sums[0])),
        len(before),
        draws,
    )
    known = np.isfinite(before).sum()
    first, last = (100 * float(np.sqrt(each.sum() / known)) for each in sums)
    return first, last, *change


def rows_of(run: alignment.Comparison, path: Path) -> list[list[str]]:
    """Return the table's rows of a run; none if it has no targets."""
    state = saved_targets(run)
    if not state:
        return []
    images, marks, second = read_second(path)
    rows = {key: row for row, key in enumerate(state["keys"])}
    known = [number for number, image in enumerate(images) if image in rows]
    if not known:
        raise SystemExit(f"{path}: none of its images is trained on")
    chosen = [rows[images[number]] for number in known]
    given, targets = (
        state[name].double().numpy()[chosen] for name in ("annotations", "targets")
    )
    unit, second = face_unit(given), second[known]
    squares = [
        apart(at_marks(points, marks), second, unit) for points in (given, targets)
    ]
    found = []
    for region in REGIONS:
        inside = [mark[0] in GROUPS_68[region] for mark in marks]
        if any(inside):
            first, last, change, low, high = compared(
                *(each[:, inside] for each in squares)
            )
            found.append(
                [run.method, f"{run.seed}", f"{len(known)}", region, f"{first:.2f}"]
                + [f"{last:.2f}", f"{change:+.1f} % ({low:+.1f} to {high:+.1f})"]
            )
    return found


def main(argv=None):
    """Compare, and print the table."""
    args = parse_args(argv)
    path = Path(os.environ.get("DATA_ROOT", "")) / "second_annotation.csv"
    runs = [
        run
        for run in alignment.plan_real(args)
        if run.case == CASE and run.finished and run.method != "plain"
    ]
    rows = [row for run in runs for row in rows_of(run, path)]
    if not rows:
        raise SystemExit(NOTHING_FINISHED)
    head = ["method", "seed", "faces", "landmarks", "annotations", "targets", "change"]
    print(markdown(head, rows))


if __name__ == "__main__":
    main()
