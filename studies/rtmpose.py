"""Semantic alignment of a thin RTMPose: do its targets come nearer to the truth?

Trains ``rtmpose-nano_sa_synthetic-96x96.py`` on noisy annotations of procedural faces,
once a seed. Prints the RMS errors of annotations and of the targets that training ended
with, against the truth, in percent of the distance of the outer eye corners, their
ratio at the weak landmarks (contour, brows, bridge), and the detector's error on the
truth of other faces. Writes ``table.md`` into --work-dir.

Finished trainings are not repeated and stopped ones go on: give the command again.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from semamb_mm.formats.files import atomic_write

from .alignment import NME, Comparison, measure
from .engine import (
    NOTHING_FINISHED,
    ROOT,
    keep_checkpoints,
    markdown,
    measured,
    merged,
    spread,
    study_parser,
    train_all,
)

CONFIG = ROOT / "configs/semantic_alignment/rtmpose-nano_sa_synthetic-96x96.py"
HEAD = (
    "seed",
    "weak annotations",
    "weak targets",
    "ratio",
    "strong annotations",
    "strong targets",
    "NME",
)


def plan(args) -> Iterator[Comparison]:
    """Yield a training a seed."""
    for seed in args.seeds:
        yield Comparison(
            ("rtmpose", "realistic", "aligned"),
            seed=seed,
            work_dir=Path(args.work_dir),
            config=CONFIG,
            changes=(keep_checkpoints(1), merged(args.cfg_options)),
        )


def figures_of(run: Comparison) -> tuple[float, ...]:
    """Return a finished run's row, but for the seed."""
    found = measured(run, measure)
    weak, strong = (
        [found[f"{kind} RMS/{region}"] for kind in ("annotations", "targets")]
        for region in ("weak", "strong")
    )
    return (*weak, weak[1] / weak[0], *strong, found[NME])


def report(runs: Sequence[Comparison], out: Path) -> None:
    """Print and write the table."""
    if not runs:
        raise SystemExit(NOTHING_FINISHED)
    figures = [figures_of(run) for run in runs]
    rows = [
        (run.seed, *(f"{value:.2f}" for value in row))
        for run, row in zip(runs, figures)
    ]
    rows.append(("mean", *(spread(column) for column in zip(*figures))))
    text = markdown(HEAD, rows)
    with atomic_write(out / "table.md") as file:
        file.write(text)
    print(text)


def main():
    """Train what is missing and report."""
    args = study_parser(__doc__, "work_dirs/rtmpose").parse_args()
    runs = list(plan(args))
    if not args.report:
        train_all(runs, args.jobs)
    report([run for run in runs if run.finished], Path(args.work_dir))


if __name__ == "__main__":
    main()
