"""Do targets come nearer to a second dentist? Of the detectors of studies.disagreement.

Searches X-rays with the plain detectors that ``python -m studies.disagreement`` has
trained, at XRAY_ROOT: the pictures that a detector was trained on ("in sample"), and
those that were held out of it ("out of fold", all five folds together). Makes targets
by consensus, with what tells the two errors apart by default (``evidence``), and by the
views alone. Prints by how much they are nearer to the other dentist than annotations
are, RMS, each landmark's mean difference taken out, with the 95 % interval of a
bootstrap over groups of equal pictures. Trains nothing. Views found are kept.
"""

import argparse
from copy import deepcopy
from pathlib import Path

import numpy as np

from semamb_mm.pose.finished import Making, make_targets
from semamb_mm.pose.latent_targets import keyed_annotations, located_samples

from .cross_targets import search_by_folds
from .disagreement import VIEWS, Detector, Opinions, plain_detectors, read_opinions
from .engine import changed, markdown
from .xrays import FOLDS, on_images, sella_nasion, xray_root

EVIDENCE = ("landmarks", "views")


def parse_args():
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--annotators", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--work-dir",
        default="work_dirs/disagreement",
        help="of studies.disagreement (default: %(default)s)",
    )
    return parser.parse_args()


def targets_of(
    annotator: int, seed: int, folder: Path, detectors: dict[int, Detector], consensus
) -> np.ndarray:
    """Return targets ``(N, K, 2)`` of all pictures, in the order of their names.

    Args:
        annotator: Whose annotations they start from.
        seed: Of the augmentation.
        folder: Where views are kept.
        detectors: By whose held-out fold a picture is searched; pictures of no fold
            among these keep their annotation.
        consensus: Options.
    """
    root = xray_root()
    opinions = read_opinions(root, annotator)
    config = deepcopy(next(iter(detectors.values())).resolved)
    on_images(root, root / f"annotator_{annotator}.json", "")(config)
    rows = {str(root / name): row for row, name in enumerate(opinions.names)}
    folds = opinions.folds
    samples, results = search_by_folds(
        config,
        {fold: detector.checkpoint for fold, detector in detectors.items()},
        lambda info: folds[rows[info["img_path"]]],
        VIEWS,
        folder,
        seed,
    )
    make_targets(samples.store, results, Making(None, consensus, None, ()))
    infos = [info for _, info in keyed_annotations(located_samples(samples.dataset))]
    targets = np.full(opinions.points[0].shape, np.nan)
    for info, found in zip(infos, samples.store.targets.double().numpy()):
        targets[rows[info["img_path"]]] = found
    return targets


def change(
    opinions: Opinions, targets: np.ndarray, pictures: np.ndarray, draws: int = 4000
) -> tuple[float, float, float]:
    """Return by how much targets are nearer to the other dentist, percent, RMS.

    Args:
        opinions: Of both; the training dentist first.
        targets: ``(N, K, 2)``.
        pictures: ``(N,)`` bool, which to compare.
        draws: Of the bootstrap.

    Returns:
        The change, and the ends of its interval.
    """
    own, other = opinions.points[:, pictures]
    size = sella_nasion(own)[:, None, None]
    squares = []
    for points in (own, targets[pictures]):
        apart = np.where(np.isfinite(own), points - other, np.nan) / size
        squares.append(np.nansum((apart - np.nanmean(apart, 0)) ** 2, (1, 2)))
    groups = np.unique(opinions.groups[pictures], return_inverse=True)[1]
    before, after = (np.bincount(groups, each) for each in squares)
    return changed(
        lambda weights: np.sqrt((weights @ after) / (weights @ before)),
        len(before),
        draws,
    )


def rows_of(args, annotator: int, seed: int) -> list[list[str]]:
    """Return the table's rows of one annotator and seed."""
    detectors = plain_detectors(args.work_dir, annotator, seed)
    opinions = read_opinions(xray_root(), annotator)
    of = Path(args.work_dir) / f"annotator_{annotator}" / "targets" / f"seed{seed}"
    rows = []
    for evidence in EVIDENCE:
        options = dict(evidence=evidence)
        for fold, detector in enumerate(detectors):
            seen = {other: detector for other in range(FOLDS) if other != fold}
            folder = of / f"without{fold}"
            targets = targets_of(annotator, seed, folder, seen, options)
            rows.append(
                ["in sample", f"fold {fold} left out", evidence]
                + _shown(*change(opinions, targets, opinions.folds != fold))
            )
        apart = dict(enumerate(detectors))
        targets = targets_of(annotator, seed, of / "out_of_fold", apart, options)
        everything = np.ones(len(opinions.folds), bool)
        rows.append(
            ["out of fold", "all", evidence]
            + _shown(*change(opinions, targets, everything))
        )
    return [[f"{annotator}", f"{seed}", *row] for row in rows]


def _shown(whole: float, low: float, high: float) -> list[str]:
    return [f"{whole:+.1f} %", f"{low:+.1f} to {high:+.1f}"]


def main():
    """Search, and print the table."""
    args = parse_args()
    rows = []
    for annotator in args.annotators:
        for seed in args.seeds:
            rows += rows_of(args, annotator, seed)
    head = ["annotator", "seed", "searched", "pictures", "evidence", "RMS", "95 %"]
    print(markdown(head, rows))


if __name__ == "__main__":
    main()
