"""Two dentists marked every X-ray: which of what they say is best to train on?

Lateral head X-rays at XRAY_ROOT, five folds, as in ``studies.disagreement``. Trained
on:

- ``first``, ``second``: one dentist's annotations (the plain runs of
  ``studies.disagreement``, shared with it by ``--work-dir``);
- ``mean``: the mean of both;
- ``random``: one of them, drawn anew each time;
- ``all``: both, as samples of their own, for half as many epochs;
- ``consensus``: the mean, and from epoch 40 on targets made of both dentists and of
  what the search finds.

Each training sees as many samples. Errors are of the pictures held out, mean distance
in percent of the distance from Sella to Nasion: against each dentist, against the mean
of both, for those trained on one dentist in that one's convention. Prints by how much
each differs from ``mean``, with the 95 % interval of a bootstrap over groups of equal
pictures.

Finished runs are not repeated and stopped ones go on: give the command again.
"""

import argparse
from pathlib import Path

import numpy as np

from semamb_mm.formats.files import atomic_write

from . import disagreement
from .engine import (
    NOTHING_FINISHED,
    Change,
    Run,
    lengthened,
    markdown,
    measured,
    merged,
    study_parser,
    train_all,
)
from .xrays import FOLDS, training_part, xray_root

SINGLE = dict(first=1, second=2)
TOGETHER = ("mean", "random", "all", "consensus")
METHODS = (*SINGLE, *TOGETHER)
AGAINST = ("the first", "the second", "the mean of both")


class Together(Run):
    """A training on both dentists, without one fold."""

    fold = property(lambda self: int(self.names[1].split()[1]))
    method = property(lambda self: self.names[2])


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/disagreement")
    parser.add_argument("--folds", type=int, nargs="+", default=list(range(FOLDS)))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    return parser.parse_args(argv)


def plan(args: argparse.Namespace) -> dict[Run, str]:
    """Return the method of each run, seed by seed and fold by fold."""
    runs: dict[Run, str] = {}
    for seed in args.seeds:
        for fold in args.folds:
            for method in args.methods:
                make = _single if method in SINGLE else _together
                runs[make(method, fold, seed, args)] = method
    return runs


def _single(method: str, fold: int, seed: int, args: argparse.Namespace) -> Run:
    wanted = dict(annotators=[SINGLE[method]], seeds=[seed], folds=[fold])
    wanted.update(methods=["plain"])
    (run,) = disagreement.plan(argparse.Namespace(**{**vars(args), **wanted}))
    return run


def _together(method: str, fold: int, seed: int, args: argparse.Namespace) -> Together:
    name = "xrays_sa.py" if method == "consensus" else "xrays.py"
    data = both_dentists(
        xray_root(),
        [training_part(xray_root(), one, fold, Path(args.work_dir)) for one in (1, 2)],
        "mean" if method == "consensus" else method,
    )
    last = merged(args.cfg_options)
    return Together(
        ("both dentists", f"fold {fold}", method),
        seed,
        args.work_dir,
        disagreement.CONFIGS / name,
        (
            data,
            disagreement.KEPT,
            *([lengthened(0.5)] if method == "all" else []),
            last,
        ),
    )


def both_dentists(root: Path, files: list[Path], annotation: str) -> Change:
    """Train on several annotators' files of the same pictures."""

    def change(config) -> None:
        source = config.train_dataloader.dataset
        pipeline = source.pop("pipeline")
        source.update(data_root=str(root), data_prefix=dict(img=""))
        del source["ann_file"]
        config.train_dataloader.dataset = dict(
            type="SeveralAnnotatorsDataset",
            source=source,
            annotators={
                f"dentist {number}": dict(ann_file=str(file))
                for number, file in enumerate(files, 1)
            },
            annotation=annotation,
            pipeline=pipeline,
        )

    return change


def errors_of(run: Together) -> dict[str, list]:
    """Return what :func:`disagreement.held_out_errors` says of a run on both."""
    opinions = disagreement.read_opinions(xray_root(), 1)
    shared = np.zeros(opinions.points.shape[2:])
    return disagreement.held_out_errors(run, run.fold, opinions, shared)


def figures(run: Run) -> dict[str, list]:
    """Return a run's errors by :data:`AGAINST`, measured once."""
    if isinstance(run, Together):
        found, order = measured(run, errors_of), ("own", "other", "mean")
    else:
        found = measured(run, disagreement.errors_of)
        both = ("own", "other") if run.annotator == 1 else ("other", "own")
        order = (*both, "mean")
    named = dict(groups=found["groups"])
    for name, own in zip(AGAINST, order):
        named |= {name: found[own], f"{name} seen": found[f"{own} seen"]}
    return named


def table(found: dict[Run, dict], methods: dict[Run, str]) -> str:
    """Return Markdown of the errors of finished runs, beside those of ``mean``."""
    places = {
        (methods[run], (run.names[1], run.seed)): errors
        for run, errors in found.items()
    }
    rows = []
    for method in METHODS:
        pairs = [
            (errors, places["mean", place])
            for (of, place), errors in places.items()
            if of == method and ("mean", place) in places
        ]
        if not pairs:
            continue
        ours, means = zip(*pairs)
        row = [method, f"{len(ours)}"]
        for against in AGAINST:
            whole, change, low, high = disagreement.compared(ours, means, against)
            text = f"{whole:.3f}"
            if method != "mean":
                text += f" ({change:+.1f} %, {low:+.1f} to {high:+.1f})"
            row.append(text)
        rows.append(row)
    return markdown(["trained on", "runs", *AGAINST], rows) + "\n"


def main() -> None:
    """Train what is missing and report."""
    args = parse_args()
    runs = plan(args)
    if not args.report:
        train_all(list(runs), args.jobs)
    found = {run: figures(run) for run in runs if run.finished}
    if not found:
        raise SystemExit(NOTHING_FINISHED)
    text = table(found, runs)
    with atomic_write(Path(args.work_dir) / "several_dentists.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
