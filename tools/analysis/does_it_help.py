"""Say whether better targets would help, by figures of a plain detector.

Searches training samples and held-out ones in several augmented views and prints, for
each region or landmark, with 95 % intervals by halves of the pictures:

- residuals on training over held-out samples: well below 1, and the detector has
  memorised annotations;
- the annotators' noise and the detector's error, estimated from held-out samples;
- by how much targets are expected to be better than annotations, and, roughly, a
  detector that is trained on them;

and one sentence of advice: leave it, try it, targets only, in-sample, restart or
cross-fit, and which landmarks to freeze. The thresholds are assumptions.

Held-out are the samples of the config's validation set, whose annotations must be of
the same kind, or, with --folds, the training samples as tools/cross_fit.py found them.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import json
from dataclasses import asdict

import torch

from semamb_mm import cli
from semamb_mm.audit.advice import advise, sentence, to_freeze
from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.finished.residuals import (
    Residuals,
    compare,
    held_out_dataset,
    pictures_of,
)
from semamb_mm.pose.finished.search import (
    EQUAL_VIEWS,
    AugmentedSamples,
    FinishedSearch,
    Making,
)
from semamb_mm.pose.latent_targets import read_targets

FEWEST = 20  # pictures of which errors can be told apart at all


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__)
    held_out = parser.add_mutually_exclusive_group()
    held_out.add_argument(
        "--held-out", choices=("val", "test"), default="val", help="(%(default)s)"
    )
    held_out.add_argument(
        "--folds", metavar="FILE", help="targets that tools/cross_fit.py has written"
    )
    cli.add_view_arguments(parser)
    parser.add_argument(
        "--most", type=int, default=2000, help="samples on either side (%(default)s)"
    )
    parser.add_argument(
        "--resamples", type=int, default=200, help="for the intervals (%(default)s)"
    )
    parser.add_argument("--out", help="JSON file for all figures")
    return parser.parse_args(argv)


def main(argv=None):
    """Search, compare, and advise."""
    args = parse_args(argv)
    config = cli.open_config(args)
    cli.check_data(config, "train", *([] if args.folds else [args.held_out]))
    making = Making.of_config(cli.config_of_hook(args, config))
    model = cli.open_searchable_model(config, args.checkpoint, args.device)
    loader = config.train_dataloader
    train = AugmentedSamples(loader, batch_size=args.batch_size)
    if args.folds:
        check_number(train, len(train))
        held_out = found_by_folds(args.folds, train)
    else:
        try:
            dataset = held_out_dataset(config, args.held_out)
        except ValueError as error:
            raise SystemExit(str(error)) from error
        other = AugmentedSamples(loader, dataset, args.batch_size)
        check_number(other, args.most)
        held_out = found(model, other, making, args)
    trained = found(model, train, making, args)
    groups = landmark_groups(train.store.num_keypoints)
    each = {f"{k} {name}": [k] for k, name in enumerate(train.names)}
    figures = compare(
        trained, held_out, {**groups, **each}, making.consensus, args.resamples
    )
    shown = groups if len(groups) > 1 else figures
    print(table({name: figures[name] for name in shown}))
    everything = figures["all"]
    gains = [figures[name].targets for name in each]
    advice = advise(everything.ratio, everything.targets, everything.detector)
    print(sentence(advice, to_freeze(gains, list(each))))
    if args.out:
        content = {name: asdict(values) for name, values in figures.items()}
        with atomic_write(args.out) as file:
            json.dump(dict(advice=advice, figures=content), file, indent=2)
        print(f"wrote {args.out}")


def check_number(samples, most):
    """Refuse too few held-out pictures, before the search."""
    pictures = min(len(set(pictures_of(samples))), most)
    if pictures < FEWEST:
        raise SystemExit(
            f"{pictures} held-out pictures: expected {FEWEST} or more to tell the "
            "annotators' noise from the detector's error"
        )


def found(model, samples, making, args):
    """Search some of the samples, evenly chosen."""
    search = FinishedSearch(model, samples, making)
    number = min(len(samples), args.most)
    rows = torch.linspace(0, len(samples) - 1, number).round().long().tolist()
    for view in range(args.views):
        result = search(0, view, rows)
        result.views.fill_(view)
        samples.store.record(result, EQUAL_VIEWS, move=False)
    return Residuals.of_store(samples.store, pictures_of(samples))


def found_by_folds(path, samples):
    """Return what cross-fitting has found in the training samples."""
    try:
        samples.store.adopt(read_targets(path), path)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    residuals = Residuals.of_store(samples.store, pictures_of(samples))
    if len(residuals.pictures) < len(samples):
        raise SystemExit(f"{path} does not say what was found: it is no cross-fit's")
    samples.store.forget()
    return residuals


def table(figures):
    """Return the figures of each group as lines of text, in percent."""
    names = ("ratio", "noise", "network", "targets", "detector")
    heads = ("train/held-out", "noise", "network", "targets better", "detector better")
    width = max(len(name) for name in figures) + 1
    lines = [
        "noise of the annotations and error of what the search finds: RMS in % of the "
        "size of the landmarks' box;",
        "targets and detector: by how many % less they are expected to err (the "
        "detector's is a rough estimate)",
        f"{'':<{width}}" + "".join(f"{head:>24}" for head in heads),
    ]
    for group, values in figures.items():
        cells = []
        for name in names:
            estimate, scale = getattr(values, name), 1 if name == "ratio" else 100
            value, low, high = (
                scale * part for part in (estimate.value, estimate.low, estimate.high)
            )
            cells.append(f"{value:.2f} ({low:.2f} to {high:.2f})")
        lines.append(f"{group:<{width}}" + "".join(f"{cell:>24}" for cell in cells))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
