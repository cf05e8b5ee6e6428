"""Audit Omniglot's labels out of fold, with planted wrong ones among them.

A share of the training labels is replaced by others. Every image is judged by a model
that was trained on the other folds. The labels' surprise (semamb_mm/audit/labels.py)
says which are suspects and how many of them are expected to be wrong; beside it stands
how many are. The rival is cleanlab's confident learning on the same scores (pip install
cleanlab; its rows are left out without it).

Writes ``results.csv`` and ``table.md`` into --work-dir. Finished trainings are not
repeated and stopped ones go on: give the command again.
"""

import argparse
import warnings
from pathlib import Path

import numpy as np
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmengine.utils import import_modules_from_strings
from sklearn.metrics import roc_auc_score

from semamb_mm.audit.labels import PRECISION, audit_labels
from semamb_mm.cli import training_set
from semamb_mm.formats.files import atomic_write
from semamb_mm.pretrain.cross_validation import out_of_fold_scores

from .engine import ROOT, markdown, spread, write_csv

CONFIG = ROOT / "configs/osm_caa/slim-resnet_osm-caa_omniglot-28x28.py"
OURS = "surprise"
FIGURES = (
    "ROC AUC",
    "suspects",
    "expected precision",
    "precision",
    "recall",
    "likely class right",
)


def parse_args():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-root", help="of the config if left out")
    parser.add_argument("--work-dir", default="work_dirs/label_audit_study")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--noise",
        type=float,
        nargs="+",
        default=[0.0, 0.05, 0.1, 0.2],
        help="shares of wrong training labels",
    )
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument(
        "--cfg-options", nargs="+", action=DictAction, default={}, help="of all runs"
    )
    return parser.parse_args()


def scored(args, seed: int, noise: float):
    """Return out-of-fold scores ``(n, C)``, labels and true labels ``(n,)``."""
    config = Config.fromfile(CONFIG)
    config.merge_from_dict(args.cfg_options)
    import_modules_from_strings(config.custom_imports.imports)
    init_default_scope("mmpretrain")
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.dataset.data_root = args.data_root or loader.dataset.data_root
    config.train_dataloader.dataset.update(label_noise=noise, noise_seed=seed)
    config.train_dataloader.sampler.seed = config.randomness.seed = seed
    config.visualizer.vis_backends = [dict(type="LocalVisBackend")]
    dataset = training_set(config, config.val_dataloader.dataset.pipeline)
    folder = Path(args.work_dir) / f"noise{noise:g}" / f"seed{seed}"
    scores = out_of_fold_scores(config, dataset, folder, args.folds)
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    true = np.array([info.get("true_label", info["gt_label"]) for info in infos])
    return scores, dataset.get_gt_labels(), true


def figures(ranking, suspects, wrong, expected=np.nan) -> dict[str, float]:
    """Return how well a ranking and a list of suspects find wrong labels."""
    found = wrong[suspects]
    return {
        "ROC AUC": roc_auc_score(wrong, ranking) if wrong.any() else np.nan,
        "suspects": int(suspects.sum()),
        "expected precision": expected,
        "precision": found.mean() if len(found) else np.nan,
        "recall": found.sum() / wrong.sum() if wrong.any() else np.nan,
    }


def by_surprise(scores, labels, true) -> dict[str, dict[str, float]]:
    """Return our row."""
    wrong = labels != true
    audit = audit_labels(scores, labels, PRECISION)
    row = figures(audit.surprise, audit.suspects, wrong, audit.suspects_precision)
    found = audit.suspects & wrong
    right = (audit.likely == true)[found].mean() if found.any() else np.nan
    row["likely class right"] = right
    row["accuracy"] = (scores.argmax(1) == true).mean()
    low, high = audit.share_range
    return {OURS: dict(row, share=audit.share, share_low=low, share_high=high)}


def by_cleanlab(scores, labels, true) -> dict[str, dict[str, float]]:
    """Return a row for each of cleanlab's scores; its suspects are the same."""
    wrong = labels != true
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return {}
    scores = scores.astype(np.float64)
    probabilities = np.exp(scores - scores.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    with warnings.catch_warnings():
        # Which images have classes too small for it; the row says how it fares.
        warnings.filterwarnings("ignore", message="May not flag all label issues")
        suspects = find_label_issues(labels, probabilities, n_jobs=1)
    rows = {}
    for method in ("self_confidence", "normalized_margin"):
        quality = get_label_quality_scores(labels, probabilities, method=method)
        rows[f"cleanlab, {method}"] = figures(-quality, suspects, wrong)
    return rows


def tables(args, results: list[dict]) -> str:
    """Return a table for each share of wrong labels."""
    parts = [f"Seeds {', '.join(map(str, args.seeds))}; mean ± standard deviation."]
    for noise in args.noise:
        rows = []
        for method in dict.fromkeys(r["method"] for r in results):
            mine = [r for r in results if (r["method"], r["noise"]) == (method, noise)]
            cells = [
                spread([r[name] for r in mine if np.isfinite(r.get(name, np.nan))])
                for name in FIGURES
            ]
            rows.append([method, *cells])
        parts.append(markdown([f"{noise:.0%} wrong", *FIGURES], rows))
    return "\n\n".join(parts) + "\n"


def main():
    """Train what is missing and report."""
    args = parse_args()
    results = []
    for seed in args.seeds:
        for noise in args.noise:
            scores, labels, true = scored(args, seed, noise)
            rows = by_surprise(scores, labels, true)
            rows |= by_cleanlab(scores, labels, true)
            for method, row in rows.items():
                results.append(dict(method=method, noise=noise, seed=seed, **row))
    out = Path(args.work_dir)
    write_csv(out / "results.csv", results)
    text = tables(args, results)
    with atomic_write(out / "table.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
