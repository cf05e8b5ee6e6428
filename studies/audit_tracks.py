"""Suspects of videos by track, on planted slips that last.

Makes procedural videos (``tools/make_synthetic_videos.py``), whose annotations have the
usual noise, half of which persists from frame to frame, and judges them with the
detector of ``make demo`` at --demo, which was trained on still pictures of others.
Slips of one landmark are planted over stretches of 15 to 60 frames: an offset in the
face's own axes, by 10, 20 or 30 % of its size.

Two audits are compared, for several rates: one that knows which frames are of one video
(``groups`` of ``semamb_mm.audit.decide``), and one that takes each frame as independent
evidence. How many suspects there are, which share is wrong, whether that lies in the
stated interval, also of lists of other lengths; how many tracks the suspects make, how
many of these are right, and how many of the planted stretches have one.

Prints Markdown; writes it and a csv file into --work-dir. Videos and predictions are
kept there: give the command again after a stop. Reading videos needs PyAV.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tqdm import tqdm

from semamb_mm.audit import Audit, Markup, decide
from semamb_mm.audit.tracks import Frames, audit_tracks
from semamb_mm.faces.landmarks import PARTS_68
from semamb_mm.faces.sizes import face_size
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.finished.held_out import Predictions
from semamb_mm.pose.latent_targets.samples import keyed_annotations
from semamb_mm.synthetic.videos import write_video_tree

from .audit_precision import (
    STATED_AND_TRUE,
    demo_predictions,
    stated_and_true,
    stated_and_true_cells,
    views_of,
)
from .engine import markdown, study_parser, write_csv
from .temporal import on_videos, videos_of

RATES = (0.0, 0.001, 0.005, 0.02)
IMAGE_SIZE = 128  # pixels
LENGTHS = (15, 60)  # frames of a stretch
BELIEVED = 0.8  # stated precision of the tracks that a person would look at first
SLIPS = (0.1, 0.2, 0.3)  # in sizes of the face


def parse_args(argv: Sequence[str] | None = None):
    """Read the command line."""
    parser = study_parser(__doc__, "work_dirs/audit_tracks")
    parser.add_argument("--demo", required=True, help="folder of the demo's training")
    parser.add_argument("--videos", type=int, default=20, help="of a seed")
    parser.add_argument("--frames", type=int, default=100, help="of each video")
    return parser.parse_args(argv)


def plant_tracks(
    points: np.ndarray, frames: Frames, rate: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return annotations with lasting slips, and the stretch of each.

    Args:
        points: ``(N, 68, 2)`` pixels, taken as right.
        frames: Of the samples; each video has a frame for every number up to its end.
        rate: Share of the annotations that shall be wrong.
        seed: Of the draws.

    Returns:
        ``(N, 68, 2)``, and ``(N, 68)`` int: the stretch's number from 1; 0 where
        nothing was planted.
    """
    rng = np.random.default_rng([seed, round(1e6 * rate)])
    videos = np.asarray(frames.videos)
    spoilt, stretches = points.copy(), np.zeros(points.shape[:2], int)
    names, number = np.unique(videos), 0
    while (stretches > 0).mean() < rate:
        number += 1
        rows = np.flatnonzero(videos == rng.choice(names))
        rows = rows[np.argsort(np.asarray(frames.numbers)[rows])]
        length = min(int(rng.integers(LENGTHS[0], LENGTHS[1] + 1)), len(rows))
        first, landmark = rng.integers(len(rows) - length + 1), rng.integers(68)
        part = rows[first : first + length]
        part = part[stretches[part, landmark] == 0]
        angle, slip = rng.uniform(0, 2 * np.pi), rng.choice(SLIPS)
        turn = np.arctan2(*(points[part, 45] - points[part, 36]).T[::-1]) + angle
        offset = np.stack([np.cos(turn), np.sin(turn)], -1)
        spoilt[part, landmark] += slip * face_size(points[part])[:, None] * offset
        stretches[part, landmark] = number
    return spoilt, stretches


def judged(args, seed: int) -> tuple[np.ndarray, Predictions, Frames, Markup]:
    """Return annotations of a seed's videos and what the demo's detector finds."""
    tree = videos_of(seed, args)
    videos = write_video_tree(
        tree, args.videos, args.frames, seed=seed, image_size=IMAGE_SIZE
    )
    list(tqdm(videos, total=args.videos, unit="video", desc=f"seed {seed}"))
    config = Config.fromfile(next(Path(args.demo).glob("*.py")))
    on_videos(tree, args.videos)(config)
    path = Path(args.work_dir) / f"seed{seed}.npz"
    if not path.exists():
        demo_predictions(config, args.demo).save(path)
    samples = views_of(config)[0]
    infos = [info for _, info in keyed_annotations(samples)]
    points = np.concatenate([info["keypoints"] for info in infos]).astype(np.float64)
    numbers = np.array([info["frame_number"] for info in infos])
    frames = Frames([info["sequence_id"] for info in infos], numbers)
    curves = [part.landmarks for part in PARTS_68.values()]
    markup = Markup(samples[0][0].metainfo["flip_indices"], curves)
    return points, Predictions.load(path), frames, markup


def figures(audit: Audit, stretches: np.ndarray, frames: Frames) -> dict:
    """Return what an audit says of planted annotations, and what is true."""
    wrong, suspects = stretches > 0, audit.suspects
    row = stated_and_true(audit, wrong)
    tracks = audit_tracks(audit, frames)
    right = [wrong[track.rows, track.landmark].mean() > 0.5 for track in tracks]
    row |= dict(tracks=len(tracks), right_tracks=sum(right))
    row["stated_tracks"] = tracks[-1].precision if tracks else np.nan
    believed = [ok for ok, track in zip(right, tracks) if track.precision >= BELIEVED]
    row |= dict(believed=len(believed), right_believed=sum(believed))
    found = np.unique(stretches[suspects & wrong])
    row |= dict(stretches=len(np.unique(stretches[wrong])), found=len(found))
    return row


def rows(args) -> list[dict]:
    """Return the figures of each seed, rate and audit."""
    result = []
    for seed in args.seeds:
        points, found, frames, markup = judged(args, seed)
        keys = [str(i) for i in range(len(points))]
        for rate in RATES:
            spoilt, stretches = plant_tracks(points, frames, rate, seed)
            for evidence, groups in (("videos", frames.videos), ("frames", None)):
                audit = decide(
                    *(keys, spoilt, found.points, found.confidences),
                    inside=found.inside,
                    spread=found.spread,
                    markup=markup,
                    groups=groups,
                )
                row = figures(audit, stretches, frames)
                result.append(dict(rate=rate, evidence=evidence, seed=seed, **row))
    return result


def table(rows: Sequence[dict]) -> str:
    """Return Markdown, the seeds of a rate and an audit beside each other."""
    lines = []
    for rate, evidence in dict.fromkeys((r["rate"], r["evidence"]) for r in rows):
        mine = [r for r in rows if (r["rate"], r["evidence"]) == (rate, evidence)]
        named = [r for r in mine if r["suspects"]]
        lines.append(
            [
                f"{100 * rate:g} %",
                evidence,
                *stated_and_true_cells(mine),
                ", ".join(f"{r['tracks']} ({r['right_tracks']})" for r in mine),
                ", ".join(f"{100 * r['stated_tracks']:.0f}" for r in named) or "-",
                ", ".join(f"{r['believed']} ({r['right_believed']})" for r in mine),
                ", ".join(f"{r['found']} of {r['stretches']}" for r in mine),
            ]
        )
    head = ["wrong", "evidence by", *STATED_AND_TRUE, "tracks (right)"]
    head += ["tracks stated, %", "best tracks (right)", "stretches found"]
    return markdown(head, lines)


def main(argv: Sequence[str] | None = None) -> None:
    """Make videos, judge them and report."""
    args = parse_args(argv)
    init_default_scope("mmpose")
    found = rows(args)
    out = Path(args.work_dir)
    write_csv(out / "tracks.csv", found)
    text = table(found)
    with atomic_write(out / "table.md") as file:
        file.write(text + "\n")
    print(text)


if __name__ == "__main__":
    main()
