"""Draw how one or several trainings went, from the logs that they keep.

RUN is a folder of tools/train.py (--work-dir) or a scalars.json of it; of a training
that was resumed all logs are read. Writes one figure, a panel for each quantity:

- losses and what else is logged while training: the mean of each epoch;
- what is measured on the validation set: as it is.

MMPose's own analyze_logs.py draws what is logged while training alone, and needs
seaborn.
"""

try:
    from semamb_mm.pictures.training_curves import draw_training_curves
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
import json
from collections import defaultdict
from pathlib import Path

import numpy as np

COUNTS = {"epoch", "iter", "step"}


def parse_args(argv=None):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument(
        "--names",
        nargs="+",
        metavar="NAME",
        help="of quantities in the logs (default: loss, the first measured one, and "
        "latent_move, where there are such)",
    )
    parser.add_argument("--labels", nargs="+", help="of the runs (default: folders)")
    parser.add_argument(
        "--start",
        type=int,
        help="of LatentTargetHook: a line there says that the search begins",
    )
    parser.add_argument("--out", default="training.png", help=".png, .pdf or .svg")
    args = parser.parse_args(argv)
    if args.labels and len(args.labels) != len(args.runs):
        parser.error(f"{len(args.labels)} labels of {len(args.runs)} runs")
    return args


def main(argv=None):
    """Read the logs and draw the figure."""
    args = parse_args(argv)
    runs, units = zip(*map(read_run, args.runs))
    if len(set(units)) > 1:
        raise SystemExit("some runs count epochs, others iterations: draw them apart")
    labels = args.labels or [Path(path).resolve().name for path in args.runs]
    curves = {}
    for label, run in zip(labels, runs):
        if label in curves:
            raise SystemExit(f"two runs are called {label}; give --labels")
        curves[label] = run
    names = args.names or usual_names(runs[0])
    for name in names:
        if not any(name in run for run in runs):
            raise SystemExit(
                f"{name} is in none of the logs; they have "
                f"{', '.join(sorted(set().union(*runs)))}"
            )
    draw_training_curves(args.out, curves, names, args.start, units[0])
    print(f"wrote {args.out}")


def read_run(path):
    """Return the curves of a run, name to ``(T, 2)`` when and how much, and its unit.

    That is an epoch, or, in a training by iterations, an iteration.
    """
    path = Path(path)
    logs = [path] if path.is_file() else sorted(path.glob("*/vis_data/scalars.json"))
    if not logs:
        raise SystemExit(
            f"{path} holds no */vis_data/scalars.json; expected the --work-dir of a "
            "training, or such a file"
        )
    values = defaultdict(lambda: defaultdict(list))
    unit = "iteration"
    for line in (line for log in logs for line in read_lines(log)):
        unit = "epoch" if "epoch" in line else unit
        # What is measured on the validation set has the epoch as its step.
        when = line.get("epoch", line.get("step"))
        for name, value in quantities(line):
            values[name][when].append(value)
    curves = {
        name: np.array([(e, np.mean(found)) for e, found in sorted(epochs.items())])
        for name, epochs in values.items()
    }
    return curves, unit


def read_lines(path):
    """Yield what a log holds, line by line."""
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        try:
            yield json.loads(line)
        except ValueError as error:
            raise SystemExit(
                f"{path}, line {number}: {error}; expected one JSON object in a line, "
                "as MMEngine's LocalVisBackend writes"
            ) from error


def quantities(line):
    """Yield names and values of what is no count; of a validation no timings."""
    left_out = COUNTS if "iter" in line else COUNTS | {"time", "data_time"}
    for name, value in line.items():
        if name not in left_out and isinstance(value, int | float):
            yield name, value


def usual_names(run):
    """Return what is drawn unasked: a loss, a measure, and how far targets moved."""
    measured = [name for name in run if "/" in name]
    return [n for n in ("loss", *measured[:1], "latent_move") if n in run]


if __name__ == "__main__":
    main()
