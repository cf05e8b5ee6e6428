"""Scores of a training set by models that were trained without the image."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch.utils.data import Subset

from semamb_mm.audit.labels import stratified_folds
from semamb_mm.cli import build_runner, open_retrieval_model
from semamb_mm.formats.files import atomic_path, atomic_write

from .inference import classify_dataset


def out_of_fold_scores(
    config: Config,
    dataset,
    folder: str | Path,
    num_folds: int,
    device: str = "cpu",
    batch_size: int = 128,
) -> np.ndarray:
    """Return class scores ``(n, C)``, each image's by a model not trained on it.

    A model is trained for each fold on all others, by the config's own schedule
    without validation, in ``folder/fold_N``. What is finished is not repeated, and
    what was stopped goes on.

    Args:
        config: Of the training.
        dataset: The training set, with a test pipeline.
        folder: For the trainings.
        num_folds: F.
        device: Where finished models score their fold.
        batch_size: Images at a time.

    Raises:
        SystemExit: If the folder has another config's trainings.
    """
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    labels = np.array([info["gt_label"] for info in infos])
    groups = [info.get("tracklet_id", i) for i, info in enumerate(infos)]
    folds = stratified_folds(labels, num_folds, 0, groups)
    scores = None
    for fold in range(num_folds):
        part = Path(folder) / f"fold_{fold}"
        plan = fold_config(config, fold, num_folds, part)
        claim_folder(part, plan)
        saved = part / "scores.npy"
        members = np.flatnonzero(folds == fold)
        if not saved.is_file():
            checkpoint = train(plan)
            model = open_retrieval_model(deepcopy(config), checkpoint, device)
            held_out = Subset(dataset, members.tolist())
            with atomic_path(saved) as path:
                np.save(path, classify_dataset(model, held_out, batch_size)[1])
        of_fold = np.load(saved)
        if scores is None:
            scores = np.empty((len(labels), of_fold.shape[1]), of_fold.dtype)
        scores[members] = of_fold
    assert scores is not None
    return scores


def fold_config(config: Config, fold: int, num_folds: int, folder: Path) -> Config:
    """Return the config of a training on all folds but one."""
    plan = deepcopy(config)
    plan.train_dataloader.dataset = dict(
        type="StratifiedFoldDataset",
        dataset=plan.train_dataloader.dataset,
        fold=fold,
        num_splits=num_folds,
        seed=0,
    )
    plan.val_cfg = plan.val_dataloader = plan.val_evaluator = None
    plan.test_cfg = plan.test_dataloader = plan.test_evaluator = None
    plan.get("default_hooks", {}).get("checkpoint", {}).pop("save_best", None)
    plan.work_dir, plan.launcher = str(folder), "none"
    return plan


def claim_folder(folder: Path, plan: Config) -> None:
    """Write what is trained in a folder, or see that it is the same as before.

    Raises:
        SystemExit: If it is not.
    """
    path = folder / "plan.py"
    if not path.is_file():
        with atomic_write(path) as file:
            file.write(plan.pretty_text)
    elif path.read_text() != plan.pretty_text:
        raise SystemExit(
            f"{folder} has the training of another config or of other options, see "
            f"{path}; name another folder, or remove this one"
        )


def train(plan: Config) -> str:
    """Train, or go on where it stopped; return the last checkpoint."""
    last = Path(plan.work_dir) / "last_checkpoint"
    plan = deepcopy(plan)
    if last.is_file():
        plan.resume, plan.load_from = True, None
    plan.experiment_name = f"{Path(plan.work_dir).resolve()}".replace("/", "_")
    init_default_scope(plan.get("default_scope", "mmpretrain"))
    build_runner(plan).train()
    return last.read_text().strip()
