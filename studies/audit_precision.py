"""Precision and recall of the annotation audit, on planted gross errors.

Takes clean annotations (procedural faces' truth; and the .pts folder at DATA_ROOT,
if that is set, its annotations taken as clean), plants gross errors into about 5 %
of the landmarks, trains the small network on them, audits, and compares the suspects
with what was planted:

- slip: a landmark moved by 10 to 30 % of the face's size in any direction (4 % of
  all landmarks);
- swap: a face with left and right exchanged, as by a tool that mirrors images but
  not labels (1 % of all faces).

Prints one table; writes it and ``results.csv`` into --work-dir. Finished trainings are
not repeated and stopped ones go on: give the command again.
"""

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from mmengine.config import Config

from semamb_mm.audit.scores import THRESHOLD
from semamb_mm.faces.sizes import face_size
from semamb_mm.formats.files import atomic_folder, atomic_write
from semamb_mm.formats.tables import write_csv as write_table
from semamb_mm.pose.datasets import (
    PtsFaceDataset,
    SyntheticFaceDataset,
    write_pts_tree,
)

from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Run,
    copy_face,
    markdown,
    measured,
    merged,
    run_tool,
    scheduled,
    spread,
    study_parser,
    train_all,
    write_csv,
    write_list,
)

CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_plain_300w-subset-96x96.py"
CASES = ("procedural", "real")


def parse_args():
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/audit_precision", cases=CASES)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--num-faces", type=int, default=1000, help="procedural")
    args = parser.parse_args()
    here = "DATA_ROOT" in os.environ
    args.cases = args.cases or [c for c in CASES if c != "real" or here]
    if "real" in args.cases and not here:
        raise SystemExit("real needs DATA_ROOT: a folder of images, .pts and train.txt")
    return args


def clean_tree(case: str, args) -> Path:
    """Return a .pts folder with train.txt whose annotations are taken as clean."""
    if case == "real":
        return Path(os.environ["DATA_ROOT"]).resolve()
    tree = Path(args.work_dir).resolve() / f"procedural_{args.num_faces}"
    if not tree.exists():
        faces = SyntheticFaceDataset(num_samples=args.num_faces, noise="none")
        write_pts_tree(faces, tree)
    images = sorted((tree / "images").glob("*.png"))
    write_list(tree / "train.txt", (f"images/{image.stem}" for image in images))
    return tree


def plant(source: Path, target: Path, seed: int) -> None:
    """Copy the training faces of a .pts folder, gross errors among them.

    Args:
        source: With train.txt.
        target: The copy; ``planted.csv`` in it tells the errors. Left alone if it
            exists.
        seed: Of the errors.
    """
    if target.exists():
        return
    faces = PtsFaceDataset(data_root=str(source), ann_file="train.txt")
    mirrored, rows = np.asarray(faces.metainfo["flip_indices"]), []
    with atomic_folder(target) as unfinished:
        for number in range(len(faces)):
            info = faces.get_data_info(number)
            rng = np.random.default_rng([seed, number])
            points = info["keypoints"][0].astype(np.float64)
            keypoints, kinds = spoil(points, mirrored, rng)
            name = copy_face(Path(info["img_path"]), source, unfinished, keypoints)
            key = name.with_suffix("").as_posix()
            rows += [(key, k, kinds[k]) for k in np.flatnonzero(kinds != "")]
        names = (source / "train.txt").read_text().splitlines()
        for split in ("train", "val"):
            write_list(unfinished / f"{split}.txt", names)
        write_table(unfinished / "planted.csv", ("sample", "landmark", "kind"), rows)


def spoil(
    keypoints: np.ndarray, mirrored: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Return a face's landmarks with gross errors, and the kind of each error."""
    kinds = np.full(len(keypoints), "", object)
    if rng.random() < 0.01:
        kinds[mirrored != np.arange(len(mirrored))] = "swap"
        return keypoints[mirrored], kinds
    slips = rng.random(len(keypoints)) < 0.04
    kinds[slips] = "slip"
    size = face_size(keypoints)
    angle = rng.uniform(0, 2 * np.pi, len(keypoints))
    length = size * rng.uniform(0.1, 0.3, len(keypoints))
    move = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return keypoints + move * slips[:, None], kinds


def planted_tree(case: str, seed: int, args) -> Path:
    """Return the folder with planted errors that a run trains on."""
    return Path(args.work_dir).resolve() / case / f"data_seed{seed}"


def unselected(config: Config) -> None:
    """Validate at the end alone; keep no best checkpoint."""
    config.train_cfg.val_interval = 1000
    config.default_hooks.checkpoint.save_best = None


def plan(args) -> Iterator[Run]:
    """Yield all runs."""
    for case in args.cases:
        for seed in args.seeds:
            yield Run(
                (case, f"{args.epochs} epochs"),
                seed,
                Path(args.work_dir),
                CONFIG,
                changes=(scheduled(args.epochs), unselected, merged(args.cfg_options)),
                data_root=planted_tree(case, seed, args),
            )


def measure(run: Run) -> dict[str, float]:
    """Audit what a run was trained on, and compare with what was planted."""
    out = run.folder / "audit"
    command = ["tools/analysis/audit_annotations.py", run.planned, run.checkpoint]
    log = run.folder / "audit.log"
    run_tool([*command, "--out-dir", out], log, f"{run.folder}: audit")
    with open(run.data_root / "planted.csv", newline="") as file:
        planted = {
            (row["sample"], row["landmark"]): row["kind"]
            for row in csv.DictReader(file)
        }
    scores, kinds = [], []
    with open(out / "landmarks.csv", newline="") as file:
        for row in csv.DictReader(file):
            scores.append(float(row["score"]))
            kinds.append(planted.get((row["sample"], row["landmark"]), ""))
    return figures(np.array(scores), np.array(kinds))


def figures(scores: np.ndarray, kinds: np.ndarray) -> dict[str, float]:
    """Return percent: precision, recalls at the threshold; precision at recall 80.

    Args:
        scores: ``(N,)`` of the audit, one an annotated landmark.
        kinds: ``(N,)`` what was planted there; empty where nothing was.
    """
    bad, suspect = kinds != "", scores >= THRESHOLD
    found = np.cumsum(bad[np.argsort(-scores)])
    needed = np.searchsorted(found, 0.8 * bad.sum())
    values = {
        "planted": 100 * bad.mean(),
        "precision": 100 * bad[suspect].mean(),
        "recall": 100 * suspect[bad].mean(),
    }
    for kind in ("slip", "swap"):
        chosen = kinds == kind
        values[f"recall, {kind}"] = (
            100 * suspect[chosen].mean() if chosen.any() else np.nan
        )
    values["precision at recall 80"] = 100 * found[needed] / (needed + 1)
    return values


def table(results: dict[tuple, dict[str, float]]) -> str:
    """Return Markdown of ``(case, epochs, seed)`` to figures; then each case's mean."""
    head, rows = list(next(iter(results.values()))), []
    for case in dict.fromkeys(key[0] for key in results):
        mine = {key[-1]: found for key, found in results.items() if key[0] == case}
        for seed, found in mine.items():
            rows.append([case, seed, *(f"{value:.1f}" for value in found.values())])
        if len(mine) > 1:
            mean = (spread([found[n] for found in mine.values()], 1) for n in head)
            rows.append([case, "mean", *mean])
    return markdown(["faces", "seed", *head], rows) + "\n"


def main():
    """Train what is missing and report."""
    args = parse_args()
    runs, out = list(plan(args)), Path(args.work_dir)
    if not args.report:
        for run in runs:
            case, seed = run.names[0], run.seed
            if not run.data_root.exists():
                plant(clean_tree(case, args), run.data_root, seed)
        train_all(runs, args.jobs)
    results = {run.key: measured(run, measure) for run in runs if run.finished}
    if not results:
        raise SystemExit(NOTHING_FINISHED)
    rows = [dict(faces=k[0], seed=k[-1], **found) for k, found in results.items()]
    write_csv(out / "results.csv", rows)
    text = (
        f"Threshold {THRESHOLD:g}, {args.epochs} epochs of training; percent.\n\n"
        + table(results)
    )
    with atomic_write(out / "table.md") as file:
        file.write(text)
    print(text)


if __name__ == "__main__":
    main()
