"""What ``tools/train.py`` and ``tools/test.py`` share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from mmengine.config import Config, DictAction
from mmengine.config.utils import MODULE2PACKAGE


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of every OpenMMLab entry script."""
    parser.add_argument(
        "--show-dir", help="folder for pictures of the predictions during evaluation"
    )
    parser.add_argument(
        "--show", action="store_true", help="show the pictures in a window"
    )
    parser.add_argument("--interval", type=int, default=1, help="draw every n samples")
    parser.add_argument(
        "--wait-time", type=float, default=1, help="seconds that a window stays"
    )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        help="override settings of the config, as KEY=VALUE: model.head.num_stages=2, "
        'lists as KEY="[a,b]"',
    )
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="job launcher",
    )
    # torch.distributed.launch passes either, depending on its version.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)


def load_config(args: argparse.Namespace) -> Config:
    """The config that the command line asks for.

    ``semamb_mm::`` works in ``_base_``, as ``mmpose::`` does in stock MMEngine.

    Raises:
        SystemExit: If the config file does not exist.
    """
    if not Path(args.config).is_file():
        raise SystemExit(f"config file {args.config} does not exist")
    MODULE2PACKAGE.setdefault("semamb_mm", "semamb_mm")
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = Config.fromfile(args.config)
    cfg.launcher = args.launcher
    if args.cfg_options:
        cfg.merge_from_dict(args.cfg_options)
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs") / Path(args.config).stem)
    if args.show or args.show_dir is not None:
        hook = cfg.get("default_hooks", {}).get("visualization")
        if hook is None:
            raise SystemExit(
                "--show and --show-dir need a visualization hook in the config's "
                "default_hooks, such as dict(type='PoseVisualizationHook')"
            )
        hook.update(
            enable=True,
            show=args.show,
            interval=args.interval,
            wait_time=args.wait_time,
            out_dir=args.show_dir,
        )
    return cfg


def build_runner(cfg: Config):
    """The config's own runner type, or MMEngine's Runner."""
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    return RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
