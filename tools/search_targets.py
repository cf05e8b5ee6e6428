"""Make training targets with a finished detector, to begin a new training on them.

Searches every training sample of CONFIG in several augmented views with the detector
of CHECKPOINT, a plain one or one that was trained with latent targets, and makes
targets of all views and all annotations together. Then train again, from the first
epoch on these targets:

    python tools/train.py CONFIG --targets targets.npz

or, in a config, custom_hooks=[dict(type='LatentTargetHook', targets='targets.npz')].

The views are those of CONFIG's train pipeline; the detector is in evaluation mode.
Search and consensus have the options of CONFIG's LatentTargetHook if it has one, else
their defaults. Views that have been searched are kept beside the file until it is
written: given again, a stopped command goes on.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import shutil

from semamb_mm import cli
from semamb_mm.pose.finished.search import (
    AugmentedSamples,
    FinishedSearch,
    Making,
    make_targets,
    moves_report,
    search_views,
)
from semamb_mm.pose.finished.work import claim, file_hash, text_hash
from semamb_mm.pose.latent_targets import write_targets


def parse_args(argv=None):
    """Return the command line's options."""
    parser = cli.model_parser(__doc__)
    parser.add_argument("--out", default="targets.npz", help="(%(default)s)")
    cli.add_view_arguments(parser)
    parser.add_argument(
        "--seed", type=int, default=0, help="of the augmentation (%(default)s)"
    )
    return parser.parse_args(argv)


def main(argv=None):
    """Search, make targets, write them, and print what moved."""
    args = parse_args(argv)
    config = cli.open_config(args)
    cli.check_data(config, "train")
    making = Making.of_config(cli.config_of_hook(args, config))
    source = text_hash(f"{config.model}{config.train_dataloader.dataset}")
    model = cli.open_searchable_model(config, args.checkpoint, args.device)
    samples = AugmentedSamples(config.train_dataloader, batch_size=args.batch_size)
    search = FinishedSearch(model, samples, making)
    made_by = dict(
        tool="search_targets",
        checkpoint=file_hash(args.checkpoint),
        data=text_hash(samples.store.fingerprint),
        config=source,
        making=making.options(),
        seed=args.seed,
    )
    folder = claim(f"{args.out}.views", made_by)
    results = search_views(lambda: search, folder, args.views, seed=args.seed)
    maker = make_targets(samples.store, results, making)
    write_targets(args.out, samples.store, dict(made_by, views=args.views))
    shutil.rmtree(folder)
    print(moves_report(samples, maker))
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
