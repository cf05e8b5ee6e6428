"""Train a config with the stock MMEngine Runner."""

try:
    import semamb_mm  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
from pathlib import Path

from semamb_mm.checkpoints import read_checkpoint
from semamb_mm.cli import (
    add_common_arguments,
    build_runner,
    check_data,
    load_config,
    use_suspects,
    use_targets,
)


def parse_args(argv=None):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints")
    parser.add_argument(
        "--resume",
        nargs="?",
        const="auto",
        help="checkpoint to go on from; without a value, the work dir's "
        "latest if there is one",
    )
    parser.add_argument(
        "--targets",
        metavar="FILE",
        help="landmarks: train from the first epoch on these finished targets, of "
        "tools/search_targets.py, tools/cross_fit.py, or in a checkpoint",
    )
    parser.add_argument(
        "--suspects",
        metavar="FILE",
        help="landmarks: labels that weigh nothing in the loss, landmarks.csv of "
        "tools/analysis/audit_annotations.py or what its review page exports",
    )
    parser.add_argument(
        "--amp", action="store_true", help="automatic mixed precision (needs a GPU)"
    )
    parser.add_argument(
        "--no-validate", action="store_true", help="do not evaluate while training"
    )
    parser.add_argument(
        "--auto-scale-lr",
        action="store_true",
        help="scale the learning rate with the batch size, by auto_scale_lr",
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


def main(argv=None):
    """Change the config as the flags say, and train."""
    args = parse_args(argv)
    cfg = load_config(args)
    if args.no_validate:
        cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
        # Without validation there is no score by which to save the best.
        cfg.get("default_hooks", {}).get("checkpoint", {}).pop("save_best", None)
    check_data(cfg, "train", "val")
    if args.targets is not None:
        use_targets(cfg, args.targets)
    if args.suspects is not None:
        use_suspects(cfg, args.suspects)
    if args.amp:
        use_amp(cfg)
    if args.resume == "auto":
        # Nothing to go on from yet: begin, with the config's load_from.
        if (Path(cfg.work_dir) / "last_checkpoint").exists():
            cfg.resume, cfg.load_from = True, None
    elif args.resume is not None:
        read_checkpoint(args.resume)
        cfg.resume, cfg.load_from = True, args.resume
    if args.auto_scale_lr:
        cfg.auto_scale_lr = dict(cfg.get("auto_scale_lr", {}), enable=True)
        if "base_batch_size" not in cfg.auto_scale_lr:
            raise SystemExit(
                "--auto-scale-lr needs auto_scale_lr=dict(base_batch_size=...) in "
                f"{args.config}"
            )
    build_runner(cfg).train()


def use_amp(cfg):
    """Put AmpOptimWrapper in OptimWrapper's place."""
    wrapper = cfg.optim_wrapper.get("type", "OptimWrapper")
    # Lazy configs hold the class itself.
    name = getattr(wrapper, "__name__", wrapper)
    if name not in ("OptimWrapper", "AmpOptimWrapper"):
        raise SystemExit(f"--amp does not work with the optimizer wrapper {name}")
    cfg.optim_wrapper.type = "AmpOptimWrapper"
    cfg.optim_wrapper.setdefault("loss_scale", "dynamic")


if __name__ == "__main__":
    main()
