"""What the command lines share: arguments, configs, models and data sets.

Only MMEngine is imported here; MMPose and MMPretrain are imported by the function that
opens one of their models.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import deepcopy
from pathlib import Path

from mmengine.config import Config, ConfigDict, DictAction
from mmengine.registry import DATASETS, init_default_scope

from semamb_mm.checkpoints import (
    CheckpointFits,
    check_device,
    check_fit,
    read_checkpoint,
)


def add_cfg_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--cfg-options``."""
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        help="override settings of the config, as KEY=VALUE: model.head.num_stages=2, "
        'lists as KEY="[a,b]"',
    )


def add_batch_size(parser: argparse.ArgumentParser) -> None:
    """Add ``--batch-size``."""
    parser.add_argument(
        "--batch-size", type=int, default=32, help="samples at a time (%(default)s)"
    )


def add_view_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what tools that search with a finished detector share."""
    parser.add_argument(
        "--views", type=int, default=8, help="of each sample (%(default)s)"
    )
    parser.add_argument(
        "--hook-of",
        metavar="CONFIG",
        help="take search, consensus, temporal and freeze from this config's "
        "LatentTargetHook (default: the config's own, else their defaults)",
    )
    parser.add_argument(
        "--batch-size", type=int, help="samples at a time (default: the config's)"
    )


def add_fold_arguments(
    parser: argparse.ArgumentParser, folds: int | None = None
) -> None:
    """Add what tools share that train without a fold of the samples.

    Args:
        parser: Of the tool.
        folds: How many there are by default.
    """
    text = "(%(default)s)" if folds else "train so many detectors, each without a part"
    parser.add_argument("--folds", type=int, default=folds, help=text)
    add_group_arguments(parser)
    parser.add_argument(
        "--gpus", type=int, default=1, help="that each training uses (%(default)s)"
    )


def add_group_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what names the samples that are alike: of a picture, a video, a person."""
    groups = parser.add_mutually_exclusive_group()
    groups.add_argument(
        "--group-key",
        help="what of a sample's info or annotation names its group (by default "
        "sequence_id, the video, where there is one, else img_path)",
    )
    groups.add_argument(
        "--groups", metavar="FILE", help="JSON: sample key to group, for every sample"
    )


def read_groups(
    args: argparse.Namespace, keys: Sequence[str], infos: Sequence
) -> list[str]:
    """Return the group of each sample: what is of one picture, video or person.

    Args:
        args: See :func:`add_group_arguments`.
        keys: ``N`` sample keys.
        infos: What the data set gives of each.

    Raises:
        SystemExit: If the groups do not fit the samples.
    """
    from semamb_mm.pose.finished.folds import groups_of

    try:
        given = json.loads(Path(args.groups).read_text()) if args.groups else None
    except (OSError, ValueError) as error:
        raise SystemExit(
            f"--groups {args.groups}: {error}; expected a JSON file of sample key to "
            "group"
        ) from error
    try:
        return groups_of(keys, infos, args.group_key, given)
    except ValueError as error:
        raise SystemExit(str(error)) from error


def divide(args: argparse.Namespace, keys: Sequence[str], infos: Sequence) -> list[int]:
    """Return the fold of each sample, and print how large they are.

    Args: See :func:`read_groups`.

    Raises:
        SystemExit: If the groups do not fit the samples or the folds.
    """
    from semamb_mm.pose.finished.folds import assign_folds

    groups = read_groups(args, keys, infos)
    try:
        folds = assign_folds(groups, args.folds)
    except ValueError as error:
        raise SystemExit(str(error)) from error
    sizes = ", ".join(str(n) for _, n in sorted(Counter(folds).items()))
    print(f"{len(keys)} samples, {len(set(groups))} groups; folds of {sizes} samples")
    return folds


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags of every OpenMMLab entry script."""
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
    add_cfg_options(parser)
    parser.add_argument(
        "--launcher",
        choices=["none", "pytorch", "slurm", "mpi"],
        default="none",
        help="job launcher",
    )
    # torch.distributed.launch passes either, depending on its version.
    parser.add_argument("--local_rank", "--local-rank", type=int, default=0)


def model_parser(
    description: str | None, device: bool = True, checkpoint: bool = True
) -> argparse.ArgumentParser:
    """Return a parser of what a tool needs to open a trained model.

    Args:
        description: The tool's docstring, printed as it is.
        device: Whether the model may run on another device than the CPU.
        checkpoint: Whether there is one already.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if checkpoint:
        parser.add_argument(
            "config", help="config that the checkpoint was trained with"
        )
        parser.add_argument("checkpoint")
    else:
        parser.add_argument("config", help="config file")
    if device:
        parser.add_argument("--device", default="cpu")
    add_cfg_options(parser)
    return parser


def open_config(args: argparse.Namespace, scope: str = "mmpose") -> Config:
    """Return the config of a trained model, and make its default scope the process's.

    Args:
        args: Of :func:`model_parser`.
        scope: For a config that names no default scope.

    Raises:
        SystemExit: If the config file does not exist.
    """
    config = _read_config(args)
    init_default_scope(config.get("default_scope", scope))
    return config


def config_of_hook(args: argparse.Namespace, config: Config) -> Config:
    """Return the config whose LatentTargetHook counts; see :func:`add_view_arguments`.

    Args:
        args: With ``hook_of``.
        config: The tool's own, if that names none.

    Raises:
        SystemExit: If there is no such file, or no such hook in it.
    """
    if args.hook_of is None:
        return config
    other = _read_config(argparse.Namespace(config=args.hook_of, cfg_options=None))
    from semamb_mm.pose.finished.search import latent_target_hook

    if latent_target_hook(other) is None:
        raise SystemExit(f"{args.hook_of} has no LatentTargetHook in custom_hooks")
    return other


def _read_config(args: argparse.Namespace) -> Config:
    if not Path(args.config).is_file():
        raise SystemExit(f"config file {args.config} does not exist")
    try:
        config = Config.fromfile(args.config)
    except AssertionError as error:
        if "load semamb_mm config" not in str(error):
            raise
        raise SystemExit(
            f"{args.config}: 'semamb_mm::' in _base_ is not possible, MMEngine knows "
            "OpenMMLab's own packages alone. Write there: "
            "__import__('semamb_mm').config('_base_/alignment_68.py')"
        ) from error
    except ImportError as error:
        # MMEngine's own text is a list of sys.path; why it failed lies below it.
        reason: BaseException | None = error
        while reason and str(reason).startswith("Failed to import"):
            reason = reason.__cause__ or reason.__context__
        raise SystemExit(f"{args.config}: {reason or error}") from error
    if args.cfg_options:
        config.merge_from_dict(args.cfg_options)
    return config


def open_pose_model(config: Config, checkpoint: str | os.PathLike, device="cpu"):
    """Return MMPose's estimator of a config, with a checkpoint's weights.

    Raises:
        SystemExit: If the device is not here, or the checkpoint cannot be read or is
            of another model.
    """
    check_device(device)
    content = read_checkpoint(checkpoint)
    from mmpose.apis import init_model

    model = init_model(config, str(checkpoint), device=device)
    check_fit(model, content, checkpoint)
    return model


def open_searchable_model(config: Config, checkpoint: str | os.PathLike, device="cpu"):
    """Return a config's estimator with a head whose heatmaps can be searched.

    Args:
        config: Of a plain or an aligned detector; stays as it is.
        checkpoint: Its weights.
        device: Where it runs.

    Raises:
        SystemExit: As :func:`open_pose_model`, or if no head can take its head's place.
    """
    from semamb_mm.pose.heads.in_place_of import align_head

    config = deepcopy(config)
    try:
        align_head(config.model)
    except TypeError as error:
        raise SystemExit(str(error)) from error
    return open_pose_model(config, checkpoint, device)


def open_retrieval_model(config: Config, checkpoint: str | os.PathLike, device="cpu"):
    """Return MMPretrain's model of a config, with a checkpoint's weights.

    Raises:
        SystemExit: As :func:`open_pose_model`.
    """
    check_device(device)
    content = read_checkpoint(checkpoint)
    from mmpretrain.apis import get_model

    model = get_model(config, str(checkpoint), device=device)
    check_fit(model, content, checkpoint)
    return model


def open_latent_targets(checkpoint: str | os.PathLike):
    """Return a checkpoint's :class:`SavedTargets`; None if it holds none."""
    from semamb_mm.pose.latent_targets.saved import CHECKPOINT_KEY, SavedTargets

    content = read_checkpoint(checkpoint)
    if CHECKPOINT_KEY not in content:
        return None
    return SavedTargets.from_state(content[CHECKPOINT_KEY])


def use_targets(config: Config, path: str) -> None:
    """Have a training begin on finished targets, whatever hook the config has.

    What the config's LatentTargetHook freezes or leaves out stays so; its search does
    not run.

    Args:
        config: Is changed.
        path: See ``LatentTargetHook(targets=...)``.
    """
    from semamb_mm.pose.finished.search import latent_target_hook_among

    old = latent_target_hook_among(config) or {}
    kept = {name: old[name] for name in ("freeze", "suspects") if name in old}
    _set_latent_target_hook(config, dict(kept, targets=path))


def use_suspects(config: Config, path: str) -> None:
    """Have a training leave labels out, with or without a LatentTargetHook of its own.

    Args:
        config: Is changed.
        path: See ``LatentTargetHook(suspects=dict(file=...))``.
    """
    from semamb_mm.pose.finished.search import latent_target_hook_among

    old = latent_target_hook_among(config) or {}
    _set_latent_target_hook(config, dict(old, suspects=dict(file=path)))


def _set_latent_target_hook(config: Config, options: dict) -> None:
    """Put the hook with these options in the place of what the config has."""
    import semamb_mm.pose  # noqa: F401

    hooks = list(config.get("custom_hooks") or ())
    others = [hook for hook in hooks if hook["type"] != "LatentTargetHook"]
    new = dict(options, type="LatentTargetHook")
    config.custom_hooks = [*others, new]
    imports = dict(config.get("custom_imports") or dict(imports=[]))
    if "semamb_mm.pose" not in imports["imports"]:
        imports["imports"] = [*imports["imports"], "semamb_mm.pose"]
    config.custom_imports = imports


def rows_of(store, keys: Sequence[str], checkpoint: str | os.PathLike) -> list[int]:
    """Return the rows of samples in a checkpoint's store.

    Raises:
        SystemExit: If a sample is not in it.
    """
    unknown = [key for key in keys if key not in store.index]
    if unknown:
        raise SystemExit(
            f"{checkpoint} has no latent targets for {unknown[0]!r}: it was "
            "trained on other data"
        )
    return [store.index[key] for key in keys]


def check_data(config: Config, *splits: str) -> None:
    """See that the folders are there that a config takes from ``DATA_ROOT``.

    Args:
        config: Of a training or a test.
        splits: ``'train'``, ``'val'`` and ``'test'``, those that will be read.

    Raises:
        SystemExit: If one is missing.
    """
    if "$DATA_ROOT" not in config.text:
        return
    for split in splits:
        for root in _data_roots(config.get(f"{split}_dataloader")):
            if "://" not in root and not Path(root).is_dir():
                now = os.environ.get("DATA_ROOT")
                raise SystemExit(
                    f"the {split} data is not there: no folder {root}. This config "
                    f"reads its data from DATA_ROOT, which is {now or 'not set'}. "
                    "Begin the command with DATA_ROOT=/path/to/data; its layout: "
                    "docs/datasets.md"
                )


def _data_roots(settings) -> Iterator[str]:
    """Yield every ``data_root`` in a config's nested settings."""
    if isinstance(settings, dict):
        root = settings.get("data_root")
        if isinstance(root, str):
            yield root
        settings = list(settings.values())
    for part in settings if isinstance(settings, (list, tuple)) else ():
        yield from _data_roots(part)


def refuse_inside(option: str, out_dir: Path, samples: Sequence[tuple]) -> None:
    """Stop before anything is written into the data's own folder.

    Args:
        option: Of the command line, for the message.
        out_dir: Its folder.
        samples: Data set and index of each.

    Raises:
        SystemExit: If it lies inside a data root.
    """
    for root in {getattr(leaf, "data_root", None) for leaf, _ in samples}:
        if root and out_dir.resolve().is_relative_to(Path(root).resolve()):
            raise SystemExit(
                f"{option} {out_dir} lies inside the data root {root}: name a folder "
                "elsewhere, the data is never touched"
            )


def training_set(config: Config, pipeline, **changes):
    """Return the train data set under another pipeline.

    Args:
        config: Stays as it is.
        pipeline: Instead of the training's, which augments:
            ``config.val_dataloader.dataset.pipeline`` for most tools. It is given to
            the data sets under any wrappers.
        changes: Other settings of these data sets.

    Raises:
        SystemExit: See :func:`check_data`.
    """
    check_data(config, "train")
    dataset = deepcopy(config.train_dataloader.dataset)
    _change_leaves(dataset, dict(changes, pipeline=pipeline))
    return DATASETS.build(dataset)


def _change_leaves(dataset: ConfigDict, changes: dict) -> None:
    """Change the settings of a data set, or of those that a wrapper's config holds."""
    parts = dataset.get("datasets") or [dataset.get("dataset")]
    if parts == [None]:
        # The mark-up that is trained stays: its own landmarks are mapped first.
        old = dataset.get("pipeline") or []
        mapped = [step for step in old if "Converter" in str(step["type"])]
        dataset.update(deepcopy(changes))
        if mapped:
            dataset.pipeline = [*mapped, *dataset.pipeline]
    elif "pipeline" in dataset:
        dataset.pipeline = []  # each data set under it has the whole one
    for part in filter(None, parts):
        _change_leaves(part, changes)


def load_config(args: argparse.Namespace) -> Config:
    """Return the config of a training or a test.

    Raises:
        SystemExit: If the config file does not exist, or pictures are wanted of a
            config that draws none.
    """
    os.environ.setdefault("LOCAL_RANK", str(args.local_rank))
    cfg = _read_config(args)
    cfg.launcher = args.launcher
    if args.work_dir is not None:
        cfg.work_dir = args.work_dir
    elif cfg.get("work_dir") is None:
        cfg.work_dir = str(Path("work_dirs") / Path(args.config).stem)
    if args.show or args.show_dir is not None:
        _show_pictures(cfg, args)
    return cfg


def _show_pictures(cfg: Config, args: argparse.Namespace) -> None:
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


def build_runner(cfg: Config):
    """Build the config's own runner type, or MMEngine's Runner.

    It ends with a message when it loads a checkpoint of which nothing fits.
    """
    from mmengine.registry import RUNNERS
    from mmengine.runner import Runner

    runner = RUNNERS.build(cfg) if "runner_type" in cfg else Runner.from_cfg(cfg)
    runner.register_hook(CheckpointFits())
    return runner
