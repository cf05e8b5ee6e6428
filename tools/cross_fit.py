"""Make training targets with detectors that have not seen what they search.

Divides the training samples of CONFIG into folds. For each fold, and each seed, trains
CONFIG without it, by the stock Runner; then the held-out samples are searched in
several augmented views. Targets are made of all views of all seeds and all annotations
together: out of fold, the annotators' errors and the network's are independent. Then
train on them:

    python tools/train.py CONFIG --targets targets.npz

Samples of one picture stay in one fold; of one video, person or patient, if --group-key
or --groups says so. Search and consensus have the options of CONFIG's LatentTargetHook
if it has one, else their defaults. Give the same command again after a stop: finished
trainings are not repeated, stopped ones go on. So do more --seeds or more --views.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import json
from functools import partial
from pathlib import Path

import numpy as np

from semamb_mm import cli
from semamb_mm.audit.relabel import relabel_samples
from semamb_mm.pose.finished.fold_runs import FoldPlans
from semamb_mm.pose.finished.search import (
    AugmentedSamples,
    FinishedSearch,
    Making,
    make_targets,
    moves_report,
    search_views,
)
from semamb_mm.pose.finished.work import claim, text_hash
from semamb_mm.pose.latent_targets import (
    keyed_annotations,
    located_samples,
    write_targets,
)

TRAIN = Path(__file__).with_name("train.py")


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__, checkpoint=False)
    cli.add_fold_arguments(parser, folds=5)
    parser.add_argument(
        "--seeds",
        type=int,
        default=1,
        help="detectors of each fold, from the config's own seed on (%(default)s)",
    )
    parser.add_argument("--out", default="targets.npz", help="(%(default)s)")
    parser.add_argument(
        "--work-dir", help="of the trainings (default: work_dirs/cross_fit/CONFIG)"
    )
    parser.add_argument(
        "--relabel",
        metavar="FOLDER",
        help="write the targets as annotations, too, in the data set's own format",
    )
    cli.add_view_arguments(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Train, search, make targets, write them, and print what moved."""
    args = parse_args(argv)
    config = cli.open_config(args)
    cli.check_data(config, "train")
    making = Making.of_config(cli.config_of_hook(args, config))
    samples = AugmentedSamples(config.train_dataloader, batch_size=args.batch_size)
    making.maker().check(samples.store)
    located = located_samples(samples.dataset)
    keys, infos = zip(*keyed_annotations(located))
    folds = cli.divide(args, keys, infos)
    if args.relabel:
        cli.refuse_inside("--relabel", Path(args.relabel), located)
    work_dir = args.work_dir or f"work_dirs/cross_fit/{Path(args.config).stem}"
    made_by = dict(
        tool="cross_fit",
        data=text_hash(samples.store.fingerprint),
        config=text_hash(str(config.to_dict())),
        folds=text_hash(str(folds)),
    )
    work_dir = claim(work_dir, made_by)
    plans = FoldPlans(config, located, keys, folds)
    results = []
    for number in range(args.seeds):
        seed = plans.first_seed + number
        name = f"seed{seed}_"
        for run, rows in plans.runs(work_dir, seed, TRAIN, args.gpus, name):
            results += search_views(
                partial(opened, config, run.checkpoint, args.device, samples, making),
                run.folder / "found" / text_hash(json.dumps(making.options()))[:12],
                args.views,
                seed=seed,
                rows=rows,
                first=number * args.views,
            )
    maker = make_targets(samples.store, results, making)
    made_by.update(making=making.options(), views=args.views, seeds=args.seeds)
    write_targets(args.out, samples.store, made_by)
    print(moves_report(samples, maker))
    print(f"wrote {args.out}")
    if args.relabel:
        labels = samples.store.targets.double().numpy()
        hidden = ~samples.store.visible.numpy()
        relabel_samples(
            infos,
            located,
            np.where(hidden[..., None], np.nan, labels),
            Path(args.relabel),
        )
        print(f"wrote the targets as annotations into {args.relabel}")


def opened(config, checkpoint, device, samples, making):
    """Return the search with a finished detector."""
    model = cli.open_searchable_model(config, checkpoint, device)
    return FinishedSearch(model, samples, making)


if __name__ == "__main__":
    main()
