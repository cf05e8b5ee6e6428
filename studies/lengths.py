"""Each method at its own best length: is it the targets, or the time?

Trains the cases of ``studies.alignment noise`` for other numbers of epochs, plain and
with the methods beside it. How long a method trains is chosen as its user would: by
other faces that are annotated with the same noise, least mean squared distance from
these annotations at the end of the training. What is chosen is then measured against
the truth of the validation faces of that study, which nothing is chosen on.

"restart" and "cross-fit" begin with targets of plain trainings of the same length.

Prints, for every length, the mean squared distance that is chosen by and the error
(NME), mean and standard deviation over seeds, and the least of the first in bold; then
each method at its own best length, and by how much its error differs from plain
training's at *its* best, paired by seed, with a 95 % t interval. Writes ``lengths.md``
into --work-dir. Finished runs are not repeated and stopped ones go on: give the command
again.
"""

import argparse
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from mmengine.registry import DATASETS, init_default_scope

from semamb_mm import cli
from semamb_mm.faces.sizes import face_unit
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.inference import predict
from semamb_mm.pose.latent_targets import keyed_annotations, located_samples

from . import alignment
from .alignment import NME, NOISE_CASES, Comparison
from .engine import (
    NOTHING_FINISHED,
    markdown,
    measured,
    paired,
    spread,
    study_parser,
    train_all,
)

METHODS = ("restart", "cross-fit", "aligned", "perfect targets")
CHOICE = "squared distance from noisy annotations"
# Faces to choose by; those of the validation have seed 1000, those of tests 2000.
CHOSEN_BY = dict(seed=3000, num_samples=300, annotation="noisy")


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/lengths", cases=list(NOISE_CASES))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument(
        "--lengths",
        type=float,
        nargs="+",
        default=[0.5, 1, 2, 4],
        help="times the epochs of the case",
    )
    args = parser.parse_args(argv)
    args.cases = args.cases or ["heavy, 250 faces"]
    return args


def plan(args) -> dict[Comparison, tuple[str, float]]:
    """Return case and length of each run."""
    runs = {}
    for seed in args.seeds:
        for name in args.cases:
            for length in args.lengths:
                case = NOISE_CASES[name]
                # Validations and kept checkpoints fall on tenths and twentieths.
                epochs = max(10, round(case.epochs * length / 10) * 10)
                case = replace(case, epochs=epochs)
                title = f"{name}, {epochs} epochs"
                for run in alignment.noise_runs("lengths", title, case, seed, args):
                    if run.method in ("plain", *args.methods):
                        runs[run] = name, length
    return runs


def figures_of(run: Comparison) -> dict[str, float]:
    """Return a finished run's error, and what it is chosen by; percent."""
    config = run.resolved
    init_default_scope("mmpose")
    dataset = config.val_dataloader.dataset.copy()
    noise = config.train_dataloader.dataset.noise
    if run.method == "perfect targets":  # chosen like the others
        noise = run.after.resolved.train_dataloader.dataset.noise
    dataset.update(noise=noise, **CHOSEN_BY)
    samples = located_samples(DATASETS.build(dataset))
    infos = [info for _, info in keyed_annotations(samples)]
    given = np.concatenate([info["keypoints"] for info in infos]).astype(np.float64)
    found, *_ = predict(cli.open_pose_model(config, run.checkpoint), samples)
    apart = 100 * np.linalg.norm(found - given, axis=-1) / face_unit(given)[:, None]
    return {**alignment.measure(run), CHOICE: float((apart**2).mean())}


Figures = Mapping[Comparison, Mapping[str, float]]


def each_length(figures: Figures, kinds) -> Iterator[list[str]]:
    """Yield a row for every case, method and length."""
    for case, method in _methods(figures, kinds):
        runs = [r for r in figures if kinds[r][0] == case and r.method == method]
        lengths = {kinds[run][1]: [] for run in runs}
        for run in runs:
            lengths[kinds[run][1]].append(figures[run])
        means = {
            length: statistics.mean(f[CHOICE] for f in found)
            for length, found in lengths.items()
        }
        for length in sorted(lengths):
            found = lengths[length]
            choice = spread((f[CHOICE] for f in found), 3)
            if means[length] == min(means.values()):
                choice = f"**{choice}**"
            error = spread(f[NME] for f in found)
            yield [case, method, f"{length:g}", f"{len(found)}", choice, error]


def at_best(figures: Figures, kinds) -> Iterator[list[str]]:
    """Yield a row for every case and method, each seed's length being chosen."""
    best: dict[tuple[str, str], dict[int, Comparison]] = {}
    for case, method in _methods(figures, kinds):
        chosen: dict[int, Comparison] = {}
        for run in figures:
            if kinds[run][0] == case and run.method == method:
                old = chosen.get(run.seed)
                if old is None or figures[run][CHOICE] < figures[old][CHOICE]:
                    chosen[run.seed] = run
        best[case, method] = chosen
    for (case, method), chosen in best.items():
        plain = best.get((case, "plain"), {})
        relative = {
            seed: 100 * (figures[run][NME] / figures[plain[seed]][NME] - 1)
            for seed, run in chosen.items()
            if seed in plain
        }
        lengths = ", ".join(f"{kinds[run][1]:g}" for run in chosen.values())
        error = spread(figures[run][NME] for run in chosen.values())
        against = ""
        if method != "plain" and relative:
            against = f"{paired(relative, dict.fromkeys(relative, 0.0))} %"
        yield [case, method, lengths, error, against]


def _methods(figures: Figures, kinds) -> list[tuple[str, str]]:
    return list(dict.fromkeys((kinds[run][0], run.method) for run in figures))


def report(runs: Mapping[Comparison, tuple[str, float]]) -> str:
    """Return both tables of the finished runs, as Markdown.

    Raises:
        SystemExit: If there are none.
    """
    finished: Sequence[Comparison] = [run for run in runs if run.finished]
    if not finished:
        raise SystemExit(NOTHING_FINISHED)
    figures = {run: measured(run, figures_of) for run in finished}
    first = ["case", "method", "length", "seeds", CHOICE, "NME"]
    second = ["case", "method", "lengths chosen", "NME", "against plain at its best"]
    return "\n\n".join(
        (
            markdown(first, each_length(figures, runs)),
            markdown(second, at_best(figures, runs)),
        )
    )


def main(argv=None):
    """Train what is missing and report."""
    args = parse_args(argv)
    runs = plan(args)
    if not args.report:
        train_all(list(runs), args.jobs)
    text = report(runs)
    with atomic_write(Path(args.work_dir) / "lengths.md") as file:
        file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
