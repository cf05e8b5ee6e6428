"""What the order in which frames of videos are read does to a training.

Makes procedural videos (``tools/make_synthetic_videos.py``), encodes them as H.264 with
a key frame every so many frames, and trains the detector of
configs/semantic_alignment/slim-hourglass_plain_synthetic-96x96.py on them, as many
iterations each, in three orders:

- strided, shuffled: every so many frames, in DefaultSampler's order;
- strided, in stretches: the same frames, in VideoShuffleSampler's order;
- whole stretches: all frames of a share of the stretches each epoch, another share in
  the next (``parts``).

Prints the error on faces of other people, in percent of the distance of the outer eye
corners, mean and standard deviation over seeds, and the mean difference from the first
order with the same seed, with a 95 % interval over seeds. How alike what is read
together is, ``python -m benchmarks.video_mixing`` tells.

Finished videos and trainings are not repeated and stopped ones go on: give the command
again. Needs PyAV with libx264.
"""

import argparse
import shutil
from pathlib import Path

from mmengine.config import Config
from tqdm import tqdm

from semamb_mm.formats.files import atomic_folder
from semamb_mm.synthetic.videos import write_video_tree

from .engine import (
    NOTHING_FINISHED,
    ROOT,
    Change,
    Run,
    markdown,
    merged,
    paired,
    scheduled,
    spread,
    study_parser,
    train_all,
    validations,
)

CONFIG = ROOT / "configs/semantic_alignment/slim-hourglass_plain_synthetic-96x96.py"
ORDERS = ("strided, shuffled", "strided, in stretches", "whole stretches")
NME = "NME/inter_ocular"


def parse_args(argv=None) -> argparse.Namespace:
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/video_order_study", cases=ORDERS)
    for name, default, text in (
        ("--videos", 40, "of a seed"),
        ("--frames", 100, "of each video"),
        ("--epochs", 12, "of the training"),
        ("--stride", 5, "of the strided orders, and the others' parts"),
        ("--key-frames", 25, "frames from one key frame to the next"),
    ):
        parser.add_argument(
            name, type=int, default=default, help=f"{text} (default: %(default)s)"
        )
    return parser.parse_args(argv)


def tree_of(seed: int, args) -> Path:
    """Return the folder of a seed's videos."""
    name = f"seed{seed}-{args.key_frames}"
    return Path(args.work_dir).resolve() / "videos" / name


def make_videos(seed: int, args) -> None:
    """Write a seed's videos, what is missing of them."""
    made = tree_of(seed, args).with_name(f"seed{seed}")
    videos = write_video_tree(made, args.videos, args.frames, seed=seed)
    for video in tqdm(videos, total=args.videos, unit="video", desc=f"seed {seed}"):
        target = tree_of(seed, args) / video
        if not target.exists():
            with atomic_folder(target) as folder:
                shutil.copytree(made / video / "annot", folder / "annot")
                encode(made / video / "vid.avi", folder / "vid.avi", args.key_frames)


def encode(source: Path, target: Path, key_frames: int) -> None:
    """Write a video again, as H.264 with B-frames."""
    import av

    options = {"x264-params": f"keyint={key_frames}:scenecut=0", "crf": "18"}
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = new.add_stream("libx264", rate=25, options=options)
        stream.width, stream.height = (
            getattr(old.streams.video[0], side) for side in ("width", "height")
        )
        stream.pix_fmt = "yuv420p"
        for number, frame in enumerate(old.decode(video=0)):
            frame = frame.reformat(format="yuv420p")
            frame.pts = number
            # Else each frame would be a key frame, as those of MJPEG are.
            frame.pict_type = 0
            new.mux(stream.encode(frame))
        new.mux(stream.encode())


def in_order(order: str, tree: Path, args) -> Change:
    """Train on these videos, read in this order."""

    def change(config: Config) -> None:
        loader = config.train_dataloader
        whole = order == "whole stretches"
        loader.dataset = dict(
            type="Face300VWVideoDataset",
            data_root=str(tree),
            ids=[f"s{number:03d}" for number in range(args.videos)],
            stride=1 if whole else args.stride,
            max_open=loader.batch_size,
            pipeline=loader.dataset.pipeline,
        )
        if order != "strided, shuffled":
            loader.sampler = dict(
                type="VideoShuffleSampler",
                batch_size=loader.batch_size,
                num_workers=loader.num_workers,
                parts=args.stride if whole else 1,
            )
        config.default_hooks.checkpoint.update(max_keep_ckpts=1, save_best=None)

    return change


def plan(args) -> list[Run]:
    """Return the runs, a seed's one after the other."""
    return [
        Run(
            (f"{args.epochs} epochs", order),
            seed,
            Path(args.work_dir),
            CONFIG,
            (
                in_order(order, tree_of(seed, args), args),
                scheduled(args.epochs),
                merged(args.cfg_options),
            ),
        )
        for seed in args.seeds
        for order in args.cases or ORDERS
    ]


def error(run: Run) -> float:
    """Return a finished run's error at its end, percent."""
    return 100 * list(validations(run, "NME/").values())[-1][NME]


def table(runs: list[Run]) -> str:
    """Return Markdown of the finished runs' errors."""
    errors: dict[str, dict[int, float]] = {}
    for run in runs:
        errors.setdefault(run.names[-1], {})[run.seed] = error(run)
    first = errors.get(ORDERS[0], {})
    rows = [
        [
            order,
            len(found),
            spread(found.values()),
            "" if order == ORDERS[0] else paired(found, first, 2),
        ]
        for order, found in errors.items()
    ]
    return markdown(["order", "seeds", "error, %", f"less {ORDERS[0]}"], rows)


def main():
    """Train what is missing and report."""
    args = parse_args()
    runs = plan(args)
    if not args.report:
        for seed in args.seeds:
            make_videos(seed, args)
        train_all(runs, args.jobs)
    finished = [run for run in runs if run.finished]
    if not finished:
        raise SystemExit(NOTHING_FINISHED)
    print(table(finished))


if __name__ == "__main__":
    main()
