"""Say which of two detectors to keep, by held-out samples with annotations as noisy.

Predicts the validation set with both, such as a plain detector and one that was trained
on better targets, and prints, for each region of a face or each landmark: RMS distance
from the annotations, and by how much the second's mean square differs, with a 95 %
interval by halves of the pictures. Then one sentence: the second is kept only if it is
certainly nearer. What annotations err by is the same in both mean squares, so they may
be as noisy as the training's; of small gains it hides much, so take many pictures.

The validation set must not be what a checkpoint was chosen on: take the last epoch.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
import json
from dataclasses import asdict

import torch
from mmengine.registry import DATASETS

from semamb_mm import cli
from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.finished.detectors import compare_detectors, verdict
from semamb_mm.pose.inference import predict
from semamb_mm.pose.latent_targets import (
    build_store,
    keyed_annotations,
    located_samples,
)

FEWEST = 20  # pictures whose halves say anything


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__)
    parser.add_argument("other", metavar="OTHER", help="checkpoint of the second one")
    parser.add_argument(
        "--other-config", metavar="CONFIG", help="of the second (default: the first's)"
    )
    parser.add_argument(
        "--held-out", choices=("val", "test"), default="val", help="(%(default)s)"
    )
    cli.add_group_arguments(parser)
    cli.add_batch_size(parser)
    parser.add_argument("--resamples", type=int, default=400, help="(%(default)s)")
    parser.add_argument("--out", help="JSON file for all figures")
    return parser.parse_args(argv)


def main(argv=None):
    """Predict, compare, and say which to keep."""
    args = parse_args(argv)
    config = cli.open_config(args)
    cli.check_data(config, args.held_out)
    dataset = held_out_set(config, args.held_out)
    samples = located_samples(dataset)
    keys, infos = zip(*keyed_annotations(samples))
    by = grouped_by(args, infos)
    groups = group_numbers(cli.read_groups(args, keys, infos), by)
    store = build_store(dataset)
    both = list(models(args, config))  # a checkpoint that is missing is told at once
    predictions = [predict(model, samples, args.batch_size)[0] for model in both]
    regions, each = names_of(samples, store.num_keypoints)
    figures = compare_detectors(
        [torch.from_numpy(points) for points in predictions],
        store.annotations,
        store.visible,
        store.face_sizes(torch.arange(len(samples))),
        groups,
        {**regions, **each},
        args.resamples,
    )
    shown = {n: f for n, f in figures.items() if n in regions or len(regions) == 1}
    print(f"{len(samples)} samples in {len(groups.unique())} groups by {by}")
    print(table(shown))
    parts = {name: f for name, f in shown.items() if name != "all"}
    said = verdict(figures["all"], parts)
    print(said)
    if args.out:
        content = {name: asdict(values) for name, values in figures.items()}
        with atomic_write(args.out) as file:
            json.dump(dict(verdict=said, figures=content), file, indent=2)
        print(f"wrote {args.out}")


def held_out_set(config, split):
    """Return the held-out data set."""
    loader = config.get(f"{split}_dataloader")
    if not loader:
        raise SystemExit(f"the config has no {split}_dataloader to compare on")
    return DATASETS.build(loader.dataset)


def grouped_by(args, infos):
    """Return what names the groups, for messages."""
    usual = "img_path" if infos[0].get("sequence_id") is None else "sequence_id"
    return args.groups or args.group_key or usual


def group_numbers(names, by):
    """Return the number ``(N,)`` of each sample's group; refuse too few groups."""
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    if len(numbers) < FEWEST:
        raise SystemExit(
            f"{len(numbers)} held-out groups by {by}: expected {FEWEST} or more to "
            "tell two detectors apart"
        )
    return torch.tensor([numbers[name] for name in names])


def models(args, config):
    """Yield the first detector, then the second."""
    yield cli.open_pose_model(config, args.checkpoint, args.device)
    if args.other_config:
        given = argparse.Namespace(config=args.other_config, cfg_options=None)
        config = cli.open_config(given)
    yield cli.open_pose_model(config, args.other, args.device)


def names_of(samples, number):
    """Return the landmarks of each region, and of each landmark's name."""
    known = samples[0][0].metainfo.get("keypoint_id2name") or {}
    each = {f"{k} {known.get(k, '')}".strip(): [k] for k in range(number)}
    return landmark_groups(number), each


def table(figures):
    """Return the figures of each group as lines of text."""
    width = max(len(name) for name in figures) + 1
    lines = [
        "RMS distance from the annotations, in % of the size of the landmarks' box; "
        "change of its square in %",
        f"{'':<{width}}{'first':>10}{'second':>10}  {'change':>26}",
    ]
    for name, found in figures.items():
        change = found.change
        value, low, high = (100 * v for v in (change.value, change.low, change.high))
        mark = " *" if found.better or found.worse else ""
        text = f"{value:+.1f} ({low:+.1f} to {high:+.1f})"
        lines.append(
            f"{name:<{width}} {100 * found.first:>9.2f} {100 * found.second:>9.2f}"
            f"  {text:>26}{mark}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
