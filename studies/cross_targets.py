"""Targets of detectors that have not seen what they search, as a study needs them.

tools/cross_fit.py trains its detectors by itself. Here they are given, since one that
was trained without two folds serves two of the study's trainings.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import init_default_scope

from semamb_mm.cli import open_searchable_model
from semamb_mm.pose.finished import (
    AugmentedSamples,
    FinishedSearch,
    Making,
    make_targets,
)
from semamb_mm.pose.finished.search import search_views
from semamb_mm.pose.latent_targets import (
    SearchResult,
    keyed_annotations,
    located_samples,
    write_targets,
)

from .engine import Run


def search_by_folds(
    config: Config,
    checkpoints: Mapping[int, Path],
    fold_of: Callable[[Mapping], int],
    views: int,
    folder: Path,
    seed: int,
) -> tuple[AugmentedSamples, list[SearchResult]]:
    """Search training samples, each with a detector without its fold.

    Args:
        config: Says which samples, and how they are augmented.
        checkpoints: Fold to a detector that was trained without it.
        fold_of: Returns the fold of a sample, of what the data set tells of it.
        views: Of each sample.
        folder: Where views are kept; those found before are not searched again.
        seed: Of the augmentation.
    """
    init_default_scope("mmpose")
    samples = AugmentedSamples(config.train_dataloader)
    making = Making.of_config(config)
    located = located_samples(samples.dataset)
    folds = [fold_of(info) for _, info in keyed_annotations(located)]
    results = []
    for fold, checkpoint in checkpoints.items():
        results += search_views(
            partial(_opened, config, checkpoint, samples, making),
            folder / f"fold{fold}",
            views,
            seed=seed,
            rows=[row for row, other in enumerate(folds) if other == fold],
        )
    return samples, results


def cross_targets(plain: Run) -> Path:
    """Return the file of targets for the samples that a run is trained on."""
    return plain.folder / "cross_targets.npz"


def make_cross_targets(
    plain: Run,
    checkpoints: Mapping[int, Path],
    fold_of: Callable[[Mapping], int],
    views: int,
) -> None:
    """Make targets for the samples that a run is trained on, if there are none yet.

    Args:
        plain: The run, of plain training.
        checkpoints: See :func:`search_by_folds`.
        fold_of: As above.
        views: As above.
    """
    if cross_targets(plain).exists():
        return
    folder = plain.folder / "cross_targets"
    config, seed = plain.resolved, plain.seed
    found = search_by_folds(config, checkpoints, fold_of, views, folder, seed)
    samples, results = found
    making = Making.of_config(config)
    make_targets(samples.store, results, making)
    made_by = dict(study=str(plain.names), making=making.options(), views=views)
    write_targets(cross_targets(plain), samples.store, made_by)


def _opened(config, checkpoint, samples, making) -> FinishedSearch:
    model = open_searchable_model(config, str(checkpoint), "cpu")
    return FinishedSearch(model, samples, making)
