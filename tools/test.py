"""Test a checkpoint with the stock MMEngine Runner."""

try:
    import semamb_mm  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
from pathlib import Path

from mmengine.fileio import dump
from mmengine.hooks import Hook

from semamb_mm.checkpoints import read_checkpoint
from semamb_mm.cli import add_common_arguments, build_runner, check_data, load_config
from semamb_mm.formats.files import atomic_path


def parse_args(argv=None):
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", help="config file")
    parser.add_argument("checkpoint", help="checkpoint file")
    parser.add_argument("--work-dir", help="folder for the log")
    parser.add_argument("--out", help="file for the metrics: .json or .yaml")
    parser.add_argument("--dump", help="file for all predictions: .pkl")
    parser.add_argument(
        "--badcase", action="store_true", help="analyse the worst predictions (MMPose)"
    )
    add_common_arguments(parser)
    return parser.parse_args(argv)


class SaveMetrics(Hook):
    """Writes the test's metrics, whole or not at all."""

    def __init__(self, path: str) -> None:
        self.path = Path(path)

    def after_test_epoch(self, runner, metrics=None) -> None:
        """Write them, on the main process alone."""
        if metrics is None or runner.rank != 0:
            return
        # Plain numbers and lists, whatever arrays the metrics came as.
        plain = {
            name: value.tolist() if hasattr(value, "tolist") else value
            for name, value in metrics.items()
        }
        with atomic_path(self.path) as unfinished:
            dump(plain, str(unfinished))


def main(argv=None):
    """Change the config as the flags say, and test."""
    args = parse_args(argv)
    cfg = load_config(args)
    read_checkpoint(args.checkpoint)
    check_data(cfg, "test")
    cfg.load_from = args.checkpoint
    cfg.resume = False
    if args.out and Path(args.out).suffix not in (".json", ".yaml", ".yml"):
        raise SystemExit(f"--out {args.out}: expected a .json or .yaml file")
    if args.badcase:
        analyse_bad_cases(cfg, args)
    if args.dump:
        dump_predictions(cfg, args.dump)
    runner = build_runner(cfg)
    if args.out:
        runner.register_hook(SaveMetrics(args.out), "LOWEST")
    runner.test()


def analyse_bad_cases(cfg, args):
    """Switch MMPose's BadCaseAnalysisHook on."""
    hook = cfg.get("default_hooks", {}).get("badcase")
    if hook is None:
        raise SystemExit(
            "--badcase needs MMPose's BadCaseAnalysisHook in default_hooks"
        )
    hook.update(enable=True, show=args.show, interval=args.interval)
    if args.show:
        hook.wait_time = args.wait_time
        # As in MMPose: the window is for the bad cases alone.
        cfg.default_hooks.visualization.update(
            enable=args.show_dir is not None, show=False
        )
    if hook.get("metric_type", "loss") == "loss":
        hook.setdefault("metric", cfg.model.head.loss)
    else:
        hook.setdefault("metric", cfg.test_evaluator)


def dump_predictions(cfg, path):
    """Let an evaluator write all predictions."""
    if Path(path).suffix not in (".pkl", ".pickle"):
        raise SystemExit(f"--dump {path}: expected a .pkl file")
    evaluators = cfg.test_evaluator
    if not isinstance(evaluators, (list, tuple)):
        evaluators = [evaluators]
    dumper = dict(type="DumpResults", out_file_path=path)
    cfg.test_evaluator = [*evaluators, dumper]


if __name__ == "__main__":
    main()
