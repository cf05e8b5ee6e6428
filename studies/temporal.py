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

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor
from tqdm import tqdm

from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import face_size, face_unit
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.pts import read_pts
from semamb_mm.functional import consensus_targets, temporal_targets
from semamb_mm.synthetic.videos import write_video_tree

from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Run,
    hook,
    markdown,
    merged,
    saved_targets,
    scheduled,
    spread,
    study_parser,
    train_all,
)

CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"
REGIONS = ("contour", "brows", "eyes", "mouth", "weak", "strong")


def parse_args():
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/temporal_study", seeds=(0, 1))
    for name, default, text in (
        ("--videos", 20, "of a seed"),
        ("--frames", 40, "of each video"),
        ("--epochs", 12, "of the training"),
    ):
        parser.add_argument(
            name, type=int, default=default, help=f"{text} (default: %(default)s)"
        )
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
    return parser.parse_args()


def videos_of(seed: int, args) -> Path:
    """Return the folder of a seed's videos."""
    return Path(args.work_dir).resolve() / "videos" / f"seed{seed}"


def make_videos(folder: Path, seed: int, args) -> list[str]:
    """Write a seed's videos, what is missing of them; return their ids."""
    videos = write_video_tree(
        folder, args.videos, args.frames, seed=seed, drift_share=args.drift_share
    )
    return list(tqdm(videos, total=args.videos, unit="video", desc=f"seed {seed}"))


def on_videos(tree: Path, count: int) -> Change:
    """Train on these videos in the faces' place."""

    def change(config: Config) -> None:
        config.train_dataloader.dataset = dict(
            type="Face300VWVideoDataset",
            data_root=str(tree),
            ids=[f"s{number:03d}" for number in range(count)],
            max_open=count,
            pipeline=config.train_dataloader.dataset.pipeline,
        )

    return change


def search_for_half(config: Config) -> None:
    """Validate at the end; keep the last checkpoint; search in the second half."""
    epochs = config.train_cfg.max_epochs
    config.train_cfg.val_interval = epochs
    hook(config).start = epochs // 2
    config.default_hooks.checkpoint.update(max_keep_ckpts=1, save_best=None)


def plan(args) -> list[Run]:
    """Return the training of each seed."""
    return [
        Run(
            (f"{args.epochs} epochs",),
            seed,
            Path(args.work_dir),
            CONFIG,
            changes=(
                on_videos(videos_of(seed, args), args.videos),
                scheduled(args.epochs),
                search_for_half,
                merged(args.cfg_options),
            ),
        )
        for seed in args.seeds
    ]


def tracks(state: Mapping, tree: Path) -> tuple[Tensor, Tensor, Tensor]:
    """Return annotations, search results, truth: (videos, frames, 68, 2) pixels."""
    places = [key.split("/") for key in state["keys"]]
    truth = [read_pts(tree / video / "truth" / f"{n}.pts") for video, n in places]
    shape = (len({video for video, _ in places}), -1, 68, 2)
    points = (state["annotations"], state["found"], torch.from_numpy(np.stack(truth)))
    return tuple(p.double().view(shape) for p in points)


def reach_consensus(annotations: Tensor, found: Tensor, options: Mapping) -> Tensor:
    """Return the consensus of annotations and search, pixels."""
    size = torch.from_numpy(face_size(annotations.numpy()))[..., None, None]
    flat = ((p / size).flatten(0, 1) for p in (annotations, found))
    return consensus_targets(*flat, **options).view(found.shape) * size


def agree(
    points: Tensor, annotations: Tensor, found: Tensor, window: int, stride: int
) -> Tensor:
    """Return targets made to agree over time."""
    videos, frames = points.shape[:2]
    smooth = temporal_targets(
        *(p.flatten(0, 1) for p in (points, annotations, found)),
        torch.arange(videos).repeat_interleave(frames),
        stride * torch.arange(frames).repeat(videos),
        window=window,
    )
    return smooth.view(points.shape)


def along_annotations(annotations: Tensor, found: Tensor, window: int) -> Tensor:
    """Return the window's mean of what was found, each moved by the annotations."""
    offsets, frames = found - annotations, found.shape[1]
    mean = [
        offsets[:, max(0, t - window) : t + window + 1].mean(1) for t in range(frames)
    ]
    return annotations + torch.stack(mean, 1)


def variants(
    annotations: Tensor,
    found: Tensor,
    consensus: Mapping,
    windows: Sequence[int],
    stride: int,
) -> dict[str, Tensor]:
    """Return name to targets, in the table's order."""
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


def figures(targets: Tensor, truth: Tensor) -> dict[str, float]:
    """Return RMS errors of the regions and jitter, percent."""
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


def study(run: Run, args) -> dict[str, dict[str, float]]:
    """Return what one seed's training gives: variant to figures."""
    state = saved_targets(run)
    tree = videos_of(run.seed, args)
    annotations, found, truth = (p[:, :: args.stride] for p in tracks(state, tree))
    consensus = hook(Config.fromfile(CONFIG)).consensus
    made = variants(annotations, found, consensus, args.windows, args.stride)
    return {name: figures(targets, truth) for name, targets in made.items()}


def table(rows: Mapping[int, Mapping[str, Mapping[str, float]]]) -> str:
    """Return Markdown of seed to variant to figures."""
    first = next(iter(rows.values()))
    columns = list(next(iter(first.values())))
    lines = [
        [
            name,
            *(
                spread(seed[name][column] for seed in rows.values())
                for column in columns
            ),
        ]
        for name in first
    ]
    return markdown(["targets", *columns], lines) + "\n"


def main():
    """Train what is missing and report."""
    args = parse_args()
    runs = plan(args)
    if not args.report:
        for run in runs:
            if not run.finished:
                make_videos(videos_of(run.seed, args), run.seed, args)
        train_all(runs, args.jobs)
    rows = {run.seed: study(run, args) for run in runs if run.finished}
    if not rows:
        raise SystemExit(NOTHING_FINISHED)
    out = Path(args.work_dir)
    with atomic_write(out / "results.json") as file:
        json.dump(rows, file, indent=2)
    text = table(rows)
    with atomic_write(out / "table.md") as file:
        file.write(text)
    print(f"seeds {', '.join(map(str, rows))}\n\n{text}")


if __name__ == "__main__":
    main()
