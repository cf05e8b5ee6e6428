"""Targets that agree over time: what it does, on videos whose truth is known.

Makes procedural videos (``tools/make_synthetic_videos.py``), trains the detector of
configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py on their noisy
annotations, with the search for the second half of the epochs, and takes from the last
checkpoint what the search found. All variants of making targets of it are then
compared, so that one training serves them all:

- the annotations;
- the search alone;
- consensus of annotations and search;
- each of the three made to agree over time, by temporal_targets with several windows;
- consensus smoothed by the same parabolas whatever the motion;
- the search moved from frame to frame along the annotations and averaged, which is
  what searching the sum of neighbouring frames' maps amounts to.

Prints, for each variant, the RMS error of the targets and their jitter (RMS second
difference, over time, of that error), both in percent of the distance of the outer eye
corners, mean and standard deviation over seeds. A seed is a world of people, the
annotators' and the training's.

Finished videos and trainings are not repeated and stopped ones go on: give the command
again. Reading videos needs PyAV.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from tqdm import tqdm

import semamb_mm  # noqa: F401  (lets torch.load read MMEngine's checkpoints)
from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import face_size, face_unit
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.pts import read_pts
from semamb_mm.functional import consensus_targets, temporal_targets
from semamb_mm.pose.latent_targets.store import CHECKPOINT_KEY
from semamb_mm.synthetic.videos import write_video_tree

ROOT = Path(__file__).parents[1]
CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"
REGIONS = ("contour", "brows", "eyes", "mouth", "weak", "strong")


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--videos", type=int, default=20, help="(default: 20)")
    parser.add_argument(
        "--frames", type=int, default=40, help="of each video (default: 40)"
    )
    parser.add_argument("--epochs", type=int, default=12, help="(default: 12)")
    parser.add_argument(
        "--windows",
        type=int,
        nargs="+",
        default=[3, 5, 8],
        help="to try, frames before and after (default: 3 5 8)",
    )
    parser.add_argument(
        "--stride",
        type=int,
        default=1,
        help="compare on every so many frames, as if the others were not there; "
        "windows count them all the same (default: 1)",
    )
    parser.add_argument(
        "--drift-share",
        type=float,
        default=0.5,
        help="share of the annotators' noise that persists from frame to frame "
        "(default: 0.5)",
    )
    parser.add_argument("--work-dir", default="work_dirs/temporal_study")
    parser.add_argument("--report", action="store_true", help="train nothing")
    return parser.parse_args()


def make_videos(folder, seed, args):
    videos = write_video_tree(
        folder, args.videos, args.frames, seed=seed, drift_share=args.drift_share
    )
    progress = tqdm(videos, total=args.videos, unit="video", desc=f"seed {seed}")
    return list(progress)


def training_config(tree, ids, seed, epochs):
    """The synthetic faces' config, on these videos."""
    config = Config.fromfile(CONFIG)
    pipeline = config.train_dataloader.dataset.pipeline
    config.train_dataloader.dataset = dict(
        type="Face300VWVideoDataset",
        data_root=str(tree),
        ids=ids,
        max_open=len(ids),
        pipeline=pipeline,
    )
    config.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    config.param_scheduler[1].end = epochs
    config.custom_hooks[1].start = epochs // 2
    config.default_hooks.checkpoint.update(max_keep_ckpts=1, save_best=None)
    config.randomness.seed = seed
    return config


def train(folder, config):
    with atomic_write(folder / "config.py") as file:
        file.write(config.pretty_text)
    command = [sys.executable, str(ROOT / "tools/train.py"), str(folder / "config.py")]
    command += ["--work-dir", str(folder), "--resume"]
    env = dict(os.environ)
    env.setdefault("OMP_NUM_THREADS", "1")
    print(f"training in {folder}; progress is in train.log", flush=True)
    with open(folder / "train.log", "a") as log:
        done = subprocess.run(command, stdout=log, stderr=log, env=env)
    if done.returncode:
        raise SystemExit(f"{folder}: training failed, see {log.name}")


def tracks(state, tree):
    """Annotations, search results and truth, (videos, frames, 68, 2), pixels."""
    places = [key.split("/") for key in state["keys"]]
    truth = [read_pts(tree / video / "truth" / f"{n}.pts") for video, n in places]
    shape = (len({video for video, _ in places}), -1, 68, 2)
    points = (state["annotations"], state["found"], torch.from_numpy(np.stack(truth)))
    return tuple(p.double().view(shape) for p in points)


def reach_consensus(annotations, found, options):
    size = torch.from_numpy(face_size(annotations.numpy()))[..., None, None]
    flat = ((p / size).flatten(0, 1) for p in (annotations, found))
    return consensus_targets(*flat, **options).view(found.shape) * size


def agree(points, annotations, found, window, stride):
    videos, frames = points.shape[:2]
    smooth = temporal_targets(
        *(p.flatten(0, 1) for p in (points, annotations, found)),
        torch.arange(videos).repeat_interleave(frames),
        stride * torch.arange(frames).repeat(videos),
        window=window,
    )
    return smooth.view(points.shape)


def along_annotations(annotations, found, window):
    """Mean over the window of what the search found, each moved by the annotations."""
    offsets, frames = found - annotations, found.shape[1]
    mean = [
        offsets[:, max(0, t - window) : t + window + 1].mean(1) for t in range(frames)
    ]
    return annotations + torch.stack(mean, 1)


def variants(annotations, found, consensus, windows, stride):
    """Name to targets, in the table's order."""
    joint = reach_consensus(annotations, found, consensus)
    result = {"annotations": annotations, "search": found, "consensus": joint}
    for name in ("annotations", "search", "consensus"):
        for window in windows:
            result[f"{name}, temporal, window {window}"] = agree(
                result[name], annotations, found, window, stride
            )
    for window in windows:
        # Tracks that share no motion.
        result[f"consensus, parabolas, window {window}"] = agree(
            joint, found, -found, window, stride
        )
    for window in windows:
        result[f"search along annotations, window {window}"] = along_annotations(
            annotations, found, window // stride
        )
    return result


def figures(targets, truth):
    """RMS errors of the regions and jitter of weak and strong landmarks, percent."""
    unit = torch.from_numpy(face_unit(truth.flatten(0, 1).numpy()))
    error = 100 * (targets - truth) / unit.view(*truth.shape[:2], 1, 1)
    jitter = error.diff(n=2, dim=1)
    groups = landmark_groups(truth.shape[2])

    def rms(vectors, region):
        square = vectors[:, :, groups[region]].square().sum(-1)
        return float(square.mean().sqrt())

    row = {region: rms(error, region) for region in REGIONS}
    for region in ("weak", "strong"):
        row[f"{region} jitter"] = rms(jitter, region)
    return row


def study(seed, args):
    """Rows of one seed: variant to figures."""
    folder = Path(args.work_dir).resolve() / f"seed{seed}"
    tree, checkpoint = folder / "videos", folder / f"epoch_{args.epochs}.pth"
    if not checkpoint.exists():
        if args.report:
            return None
        ids = make_videos(tree, seed, args)
        train(folder, training_config(tree, ids, seed, args.epochs))
    state = torch.load(checkpoint, map_location="cpu")[CHECKPOINT_KEY]
    annotations, found, truth = (p[:, :: args.stride] for p in tracks(state, tree))
    consensus = Config.fromfile(CONFIG).custom_hooks[1].consensus
    made = variants(annotations, found, consensus, args.windows, args.stride)
    return {name: figures(targets, truth) for name, targets in made.items()}


def table(rows):
    """Markdown; rows: seed to variant to figures."""
    first = next(iter(rows.values()))
    columns = list(next(iter(first.values())))
    lines = [
        "| targets | " + " | ".join(columns) + " |",
        "|---" * (1 + len(columns)) + "|",
    ]
    for name in first:
        cells = []
        for column in columns:
            values = [seed[name][column] for seed in rows.values()]
            cell = f"{statistics.mean(values):.2f}"
            if len(values) > 1:
                cell += f" ± {statistics.stdev(values):.2f}"
            cells.append(cell)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    args = parse_args()
    rows = {}
    for seed in args.seeds:
        row = study(seed, args)
        if row is not None:
            rows[seed] = row
    if not rows:
        raise SystemExit("no training is finished yet: nothing to report")
    out = Path(args.work_dir)
    with atomic_write(out / "results.json") as file:
        json.dump(rows, file, indent=2)
    text = table(rows)
    with atomic_write(out / "table.md") as file:
        file.write(text)
    print(f"seeds {', '.join(map(str, rows))}\n\n{text}")


if __name__ == "__main__":
    main()
