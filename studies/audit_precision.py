"""Precision and recall of the annotation audit, on planted gross errors.

Takes clean annotations (procedural faces' truth; and the .pts folder at DATA_ROOT,
if that is set, its annotations taken as clean), plants gross errors into about 5 %
of the landmarks, trains the small network on them, audits, and compares the suspects
with what was planted:

- slip: a landmark moved by 10 to 30 % of the face's size in any direction (4 % of
  all landmarks);
- swap: a face with left and right exchanged, as by a tool that mirrors images but
  not labels (1 % of all faces).

Prints one table. Finished trainings are not repeated.
"""

import argparse
import csv
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
from mmpose.datasets.datasets.utils import parse_pose_metainfo

from semamb_mm.audit.scores import THRESHOLD
from semamb_mm.faces.sizes import face_size
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.pts import write_pts
from semamb_mm.pose.datasets import (
    PtsFaceDataset,
    SyntheticFaceDataset,
    write_pts_tree,
)

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_plain_300w-subset-96x96.py"


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", nargs="+", choices=("procedural", "real"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--num-faces", type=int, default=1000, help="procedural")
    parser.add_argument("--work-dir", default="work_dirs/audit_precision")
    return parser.parse_args()


def clean_tree(name, args):
    """A .pts folder with train.txt whose annotations are taken as clean."""
    if name == "real":
        return Path(os.environ["DATA_ROOT"])
    tree = Path(args.work_dir) / f"procedural_{args.num_faces}"
    if not tree.exists():
        faces = SyntheticFaceDataset(num_samples=args.num_faces, noise="none")
        write_pts_tree(faces, tree)
    with atomic_write(tree / "train.txt") as file:
        images = sorted((tree / "images").glob("*.png"))
        file.write("".join(f"images/{image.stem}\n" for image in images))
    return tree


def plant(source, target, seed):
    """Copy the training faces of a .pts folder, gross errors among them."""
    metainfo = parse_pose_metainfo(PtsFaceDataset.METAINFO)
    mirrored = np.asarray(metainfo["flip_indices"])
    faces = PtsFaceDataset(data_root=str(source), ann_file="train.txt")
    rows = []
    for number in range(len(faces)):
        info = faces.get_data_info(number)
        rng = np.random.default_rng([seed, number])
        keypoints = info["keypoints"][0].astype(np.float64)
        kinds = np.full(len(keypoints), "", object)
        if rng.random() < 0.01:
            kinds[mirrored != np.arange(len(mirrored))] = "swap"
            keypoints = keypoints[mirrored]
        else:
            kinds[rng.random(len(keypoints)) < 0.04] = "slip"
            size = face_size(keypoints)
            angle = rng.uniform(0, 2 * np.pi, len(keypoints))
            length = size * rng.uniform(0.1, 0.3, len(keypoints))
            move = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
            keypoints[kinds == "slip"] += move[kinds == "slip"]
        image = Path(info["img_path"])
        copy = target / image.relative_to(source)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(image.resolve())
        write_pts(copy.with_suffix(".pts"), keypoints)
        key = image.relative_to(source).with_suffix("").as_posix()
        rows += [(key, k, kinds[k]) for k in np.flatnonzero(kinds != "")]
    names = (source / "train.txt").read_text()
    for split in ("train", "val"):
        (target / f"{split}.txt").write_text(names)
    with atomic_write(target / "planted.csv", newline="") as file:
        csv.writer(file).writerows(rows)


def run(command, log, data_root):
    env = dict(os.environ, DATA_ROOT=str(data_root))
    env.setdefault("OMP_NUM_THREADS", "1")
    with open(log, "a") as file:
        done = subprocess.run(
            [sys.executable, *map(str, command)], stdout=file, stderr=file, env=env
        )
    if done.returncode:
        raise SystemExit(f"{command[0]} failed, see {log}")


def measure(name, seed, args):
    """Score and planted kind of every landmark that is annotated."""
    folder = Path(args.work_dir) / f"{name}_seed{seed}"
    tree, train = folder / "data", folder / f"train_{args.epochs}"
    checkpoint = train / f"epoch_{args.epochs}.pth"
    if not (tree / "planted.csv").exists():
        plant(clean_tree(name, args).resolve(), tree, seed)
    if not checkpoint.exists():
        options = [
            f"randomness.seed={seed}",
            f"train_cfg.max_epochs={args.epochs}",
            f"param_scheduler.1.end={args.epochs}",
            "train_cfg.val_interval=1000",
            "default_hooks.checkpoint.save_best=None",
        ]
        command = [ROOT / "tools/train.py", CONFIG, "--work-dir", train, "--resume"]
        run([*command, "--cfg-options", *options], folder / "train.log", tree)
    out = folder / f"audit_{args.epochs}"
    command = [ROOT / "tools/analysis/audit_annotations.py", CONFIG, checkpoint]
    run([*command, "--out-dir", out], folder / "audit.log", tree)
    with open(tree / "planted.csv", newline="") as file:
        planted = {(key, int(k)): kind for key, k, kind in csv.reader(file)}
    scores, kinds = [], []
    with open(out / "landmarks.csv", newline="") as file:
        for row in csv.DictReader(file):
            scores.append(float(row["score"]))
            kinds.append(planted.get((row["sample"], int(row["landmark"])), ""))
    return np.array(scores), np.array(kinds)


def figures(scores, kinds):
    """Percent: precision, recalls at the threshold; precision at a recall of 80."""
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


def main():
    args = parse_args()
    args.data = args.data or ["procedural"] + ["real"] * ("DATA_ROOT" in os.environ)
    if "real" in args.data and "DATA_ROOT" not in os.environ:
        raise SystemExit("real needs DATA_ROOT: a folder of images, .pts and train.txt")
    print(f"Threshold {THRESHOLD:g}, {args.epochs} epochs of training; percent.\n")
    head = None
    for name in args.data:
        results = []
        for seed in args.seeds:
            results.append(figures(*measure(name, seed, args)))
            if head is None:
                head = list(results[0])
                print("| faces | seed | " + " | ".join(head) + " |")
                print("|---" * (2 + len(head)) + "|")
            cells = " | ".join(f"{v:.1f}" for v in results[-1].values())
            print(f"| {name} | {seed} | {cells} |", flush=True)
        if len(results) > 1:
            columns = [[r[n] for r in results] for n in head]
            cells = " | ".join(
                f"{statistics.mean(c):.1f} ± {statistics.stdev(c):.1f}" for c in columns
            )
            print(f"| {name} | mean | {cells} |", flush=True)


if __name__ == "__main__":
    main()
