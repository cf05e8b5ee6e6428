"""Extract 300-VW's frames, and write json files for MMPose's Face300VWDataset.

ROOT holds a folder for each video with vid.avi and annot/000001.pts, ... as downloaded.
Frame n goes to <video>/imgs/<n>.jpg, and into ROOT/annotations go
face_landmarks_300vw_train.json, ..._category1.json, ..._category2.json and
..._category3.json, by MMPose's own rules for the box and without the frames of the
published list of broken ones. At the default quality a frame of 1280 x 720 takes about
110 kB; all may take 10 to 25 GB (estimate from four frames).

Start it again after an interruption: frames that are there are kept, as each appears
under its name only when it is whole. Videos that do not have one frame for each .pts
file, are cut short or otherwise bad are named at the end (--on-mismatch skip takes the
frames that have a .pts file). The others are extracted all the same, and a json file is
written if nothing is wrong with its videos. Face300VWVideoDataset needs none of this:
it reads the videos.
"""

try:
    import semamb_mm.pose  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
import sys
from pathlib import Path

import cv2
from mmengine.utils import ProgressBar

from semamb_mm import dataset_cli
from semamb_mm.formats.face_json import tight_square, write_face_json
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.images import IMAGE_SUFFIXES, readable_image_size
from semamb_mm.formats.layout_300vw import CATEGORIES, SPLITS, numbered_files
from semamb_mm.formats.videos import VideoError, VideoPool, scan_video
from semamb_mm.pose.datasets.face_300vw import Face300VWFrameDataset


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = dataset_cli.dataset_parser(__doc__, workers=", each at a video of its own")
    text = f"splits to extract and write (default: {' '.join(CATEGORIES)})"
    dataset_cli.add_splits(parser, tuple(SPLITS), tuple(CATEGORIES), text)
    parser.add_argument(
        "--videos", nargs="+", help="take only these videos of the splits"
    )
    parser.add_argument(
        "--format", choices=("jpg", "png"), default="jpg", help="(default: jpg)"
    )
    parser.add_argument(
        "--quality", type=int, default=95, help="of jpg, 0 to 100 (default: 95)"
    )
    parser.add_argument(
        "--on-mismatch",
        choices=("error", "skip"),
        default="error",
        help="what to do with a video that has not as many frames as .pts files "
        "(default: error)",
    )
    dataset_cli.add_out_dir(parser)
    return parser.parse_args()


def extract(folder: Path, suffix: str, quality: int, on_mismatch: str) -> str:
    """Extract what a video lacks of its frames; return what is wrong, or ''."""
    annotated = set(numbered_files(folder / "annot", (".pts",)))
    if not annotated:
        return f"{folder}: no folder annot with files like 000001.pts"
    imgs = folder / "imgs"
    wanted = annotated - set(numbered_files(imgs, IMAGE_SUFFIXES))
    if not wanted:
        return ""
    try:
        video = folder / "vid.avi"
        facts = scan_video(video)
        frames = set(range(1, facts.num_frames + 1))
        if on_mismatch == "error" and (
            annotated != frames or facts.promised > facts.num_frames
        ):
            return (
                f"{video}: {facts.num_frames:,} frames can be decoded, its header "
                f"promises {facts.promised:,}, and there are {len(annotated):,} .pts "
                f"files, up to {max(annotated):06d}.pts; expected one for each frame"
            )
        imgs.mkdir(exist_ok=True)
        for stale in imgs.glob(".unfinished-*"):
            stale.unlink()
        pool = VideoPool(max_open=1)
        for number in sorted(wanted & frames):
            frame = pool.read(str(video), number - 1, facts)
            options = [cv2.IMWRITE_JPEG_QUALITY, quality] if suffix == ".jpg" else []
            _, encoded = cv2.imencode(suffix, frame, options)
            with atomic_write(imgs / f"{number:06d}{suffix}", "wb") as file:
                file.write(encoded.tobytes())
    except (ImportError, VideoError, OSError) as error:
        return str(error)
    return ""


def write_split(
    path: Path, root: Path, split: str, videos: list[str], on_mismatch: str
) -> int:
    """Write the frames of some videos; return their number."""
    dataset = Face300VWFrameDataset(
        str(root),
        split=split,
        ids=videos,
        leave_out_broken=True,
        on_mismatch=on_mismatch,
    )
    sizes = {}
    progress = ProgressBar(len(videos))
    with write_face_json(path) as add:
        for number, face in enumerate(dataset.data_list, start=1):
            video = face["sequence_id"]
            if video not in sizes:
                sizes[video] = readable_image_size(face["img_path"])
                progress.update()
            name = Path(face["img_path"]).relative_to(root).as_posix()
            keypoints = face["keypoints"][0]
            add(number, name, sizes[video], keypoints, *tight_square(keypoints))
    print()
    return len(dataset)


def main() -> None:
    """Extract all videos, then write the splits that lack nothing."""
    args = parse_args()
    root, out_dir = dataset_cli.folders(args)
    chosen = {
        split: [v for v in SPLITS[split] if not args.videos or v in args.videos]
        for split in args.splits
    }
    videos = sorted({video for ids in chosen.values() for video in ids})
    if not videos:
        sys.exit(f"300vw: none of {args.videos} is in the splits {args.splits}")
    tasks = [
        (root / video, f".{args.format}", args.quality, args.on_mismatch)
        for video in videos
    ]
    reasons = dataset_cli.in_parallel(extract, tasks, args.workers, "videos")
    bad = {video: reason for video, reason in zip(videos, reasons) if reason}
    for split, ids in chosen.items():
        if not ids or bad.keys() & set(ids):
            continue
        path = out_dir / f"face_landmarks_300vw_{split}.json"
        try:
            number = write_split(path, root, split, ids, args.on_mismatch)
        except (OSError, ValueError) as error:
            bad[split] = str(error)
            continue
        print(f"{path}: {number:,} frames of {len(ids)} videos")
    for reason in bad.values():
        print(f"bad: {reason}")
    if bad:
        sys.exit(f"300vw: {len(bad)} problems; fix them and start again")
    print(f"read with data_root={str(root)!r}, data_prefix=dict(img='')")


if __name__ == "__main__":
    main()
