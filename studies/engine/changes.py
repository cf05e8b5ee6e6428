"""Changes to a run's config: functions that find what they change by its type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from mmengine.config import Config, ConfigDict

Change = Callable[[Config], None]


def hook(config: Config, kind: str = "LatentTargetHook") -> ConfigDict:
    """Return the config's only custom hook of a type.

    Raises:
        ValueError: If there is none, or more than one.
    """
    return _only(config.get("custom_hooks") or [], kind, "custom_hooks")


def transform(config: Config, kind: str) -> ConfigDict:
    """Return the only transform of a type in the training pipeline.

    Raises:
        ValueError: If there is none, or more than one.
    """
    pipeline = config.train_dataloader.dataset.pipeline
    return _only(pipeline, kind, "train_dataloader.dataset.pipeline")


def scheduled(epochs: int) -> Change:
    """Train for so many epochs, and end the schedule that counts epochs with them."""

    def change(config: Config) -> None:
        config.train_cfg.max_epochs = epochs
        for scheduler in config.param_scheduler:
            if scheduler.get("by_epoch", True):
                scheduler.end = epochs

    return change


def lengthened(factor: float) -> Change:
    """Train for that many times as many epochs."""

    def change(config: Config) -> None:
        scheduled(int(factor * config.train_cfg.max_epochs))(config)

    return change


def keep_checkpoints(count: int, interval: int = 1) -> Change:
    """Write a checkpoint every so many epochs and keep the last; -1 keeps all."""

    def change(config: Config) -> None:
        config.default_hooks.checkpoint.update(interval=interval, max_keep_ckpts=count)

    return change


def merged(options: Mapping | None) -> Change:
    """Change what ``--cfg-options`` of ``tools/train.py`` would change."""

    def change(config: Config) -> None:
        config.merge_from_dict(dict(options or {}))

    return change


def _only(items: Iterable[ConfigDict], kind: str, where: str) -> ConfigDict:
    found = [item for item in items if item["type"] == kind]
    if len(found) != 1:
        raise ValueError(f"{where} has {len(found)} of type {kind}; expected one")
    return found[0]
