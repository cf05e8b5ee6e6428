"""Write the faces of 300-VW's videos as small images, which are read much faster.

ROOT holds <video>/vid.avi and <video>/annot/000001.pts, ... as downloaded. OUT gets
<video>/imgs/000001.jpg and <video>/annot/000001.pts, the landmarks in the image's own
pixels: Face300VWFrameDataset(data_root=OUT, on_mismatch='skip') reads it. An image is a
square of --size pixels around the landmarks' box, --margin of its longer side wider on
each side; beyond the frame it is black. The defaults leave room for rotation and
scaling in training, and show the face as large as an input of 256 pixels does.

At the end it reports, from some frames, the bytes and the reading time of an image
against the whole frame as JPEG, and how far a network's input of 256 pixels made from
the image differs from one made from the frame: in grey levels, and the landmarks in its
pixels. What this does to a trained detector's error it cannot tell. Each image has its
own scale and place: LatentTargetHook's ``temporal`` needs whole frames.

Start it again after an interruption: what is there is kept, as each file appears under
its name only when it is whole.
"""

try:
    import semamb_mm.pose
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
from mmpose.datasets.transforms import GetBBoxCenterScale, TopdownAffine

from semamb_mm import dataset_cli
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.layout_300vw import CATEGORIES, SPLITS
from semamb_mm.formats.pts import write_pts

INPUT_SIZE = (256, 256)
SAMPLES = 20  # frames that the report looks at


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = dataset_cli.dataset_parser(__doc__, workers=", each at a video of its own")
    text = f"splits to take (default: {' '.join(CATEGORIES)})"
    dataset_cli.add_splits(parser, tuple(SPLITS), tuple(CATEGORIES), text)
    parser.add_argument("out", help="folder of the images, another than ROOT")
    parser.add_argument("--videos", nargs="+", help="take these in the splits' place")
    parser.add_argument(
        "--stride", type=int, default=1, help="take every so many frames"
    )
    for name, default, text in (
        ("--size", 448, "of the images, pixels"),
        ("--quality", 95, "of the JPEGs, 0 to 100"),
    ):
        parser.add_argument(
            name, type=int, default=default, help=f"{text} (default: %(default)s)"
        )
    parser.add_argument(
        "--margin", type=float, default=0.6, help="see above (default: %(default)s)"
    )
    return parser.parse_args()


def crop(
    frame: np.ndarray, keypoints: np.ndarray, margin: float, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return a face's square image, and the landmarks in its pixels.

    Args:
        frame: ``(H, W, 3)``.
        keypoints: ``(K, 2)``; a pixel's centre is an integer.
        margin: Of the box's longer side, on each side.
        size: Side of the image.
    """
    low, high = keypoints.min(0), keypoints.max(0)
    side = max(2, round((1 + 2 * margin) * float((high - low).max())))
    left, top = np.round((low + high) / 2 - (side - 1) / 2).astype(int).tolist()
    height, width = frame.shape[:2]
    outside = [
        max(0, -top),
        max(0, top + side - height),
        max(0, -left),
        max(0, left + side - width),
    ]
    inside = frame[max(0, top) : top + side, max(0, left) : left + side]
    square = cv2.copyMakeBorder(inside, *outside, cv2.BORDER_CONSTANT)
    how = cv2.INTER_AREA if side > size else cv2.INTER_LINEAR
    moved = (keypoints - (left, top) + 0.5) * (size / side) - 0.5
    return cv2.resize(square, (size, size), interpolation=how), moved


def encode(image: np.ndarray, quality: int) -> bytes:
    """Return a JPEG."""
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def open_video(root: Path, video: str, stride: int):
    """Return the data set of one video."""
    return semamb_mm.pose.Face300VWVideoDataset(
        str(root), ids=[video], stride=stride, leave_out_broken=False, max_open=1
    )


def convert(
    root: Path, out: Path, video: str, args: argparse.Namespace
) -> tuple[int, str]:
    """Write what a video lacks of its images; return their number and what is wrong."""
    try:
        dataset = open_video(root, video, args.stride)
        for folder in (out / video / "imgs", out / video / "annot"):
            folder.mkdir(parents=True, exist_ok=True)
            for stale in folder.glob(".unfinished-*"):
                stale.unlink()
        for index in range(len(dataset)):
            info = dataset.get_data_info(index)
            number = info["frame_number"]
            annotation = out / video / "annot" / f"{number:06d}.pts"
            if annotation.exists():  # written last
                continue
            image, points = crop(
                dataset.read_frame(index), info["keypoints"][0], args.margin, args.size
            )
            path = out / video / "imgs" / f"{number:06d}.jpg"
            with atomic_write(path, "wb") as file:
                file.write(encode(image, args.quality))
            write_pts(annotation, points)
    except (ImportError, OSError, ValueError) as error:
        return 0, f"{video}: {error}"
    return len(dataset), ""


def network_input(image: np.ndarray, keypoints: np.ndarray) -> dict:
    """Return ``img`` and ``transformed_keypoints`` as a detector takes them."""
    box = np.concatenate([keypoints.min(0), keypoints.max(0)])[None]
    sample = dict(img=image, bbox=box, keypoints=keypoints[None])
    for step in (GetBBoxCenterScale(), TopdownAffine(input_size=INPUT_SIZE)):
        sample = step(sample)
    return sample


def compare(
    root: Path, video: str, args: argparse.Namespace
) -> dict[str, tuple[float, ...]]:
    """Return what images save and lose against whole frames, over some frames.

    Returns:
        ``bytes`` and ``milliseconds`` of a whole frame and of an image;
        ``differences``: of the inputs' grey levels, mean, and of their landmarks, most.
    """
    dataset = open_video(root, video, args.stride)
    found = []
    for index in np.linspace(0, len(dataset) - 1, SAMPLES).astype(int).tolist():
        frame = dataset.read_frame(index)
        keypoints = dataset.get_data_info(index)["keypoints"][0]
        image, points = crop(frame, keypoints, args.margin, args.size)
        sizes, times, inputs = [], [], []
        for picture, where in ((frame, keypoints), (image, points)):
            data = np.frombuffer(encode(picture, args.quality), np.uint8)
            start = time.process_time()
            decoded = cv2.imdecode(data, cv2.IMREAD_COLOR)
            times.append(1e3 * (time.process_time() - start))
            sizes.append(len(data))
            inputs.append(network_input(decoded, where))
        grey = np.abs(np.subtract(*(i["img"].astype(float) for i in inputs))).mean()
        moved = np.abs(np.subtract(*(i["transformed_keypoints"] for i in inputs))).max()
        found.append((*sizes, *times, grey, moved))
    columns = np.array(found)
    median = np.median(columns, axis=0)
    return dict(
        bytes=tuple(median[:2]),
        milliseconds=tuple(median[2:4]),
        differences=(float(columns[:, 4].mean()), float(columns[:, 5].max())),
    )


def report(figures: dict[str, tuple[float, ...]]) -> None:
    """Print what :func:`compare` found."""
    for name, text in (("bytes", "kB"), ("milliseconds", "ms of CPU to read")):
        whole, face = figures[name]
        if name == "bytes":
            whole, face = whole / 1000, face / 1000
        print(
            f"whole frame {whole:.1f} {text}, face {face:.1f}: {whole / face:.1f} : 1"
        )
    grey, moved = figures["differences"]
    print(
        f"a network's input differs by {grey:.2f} of 255 grey levels on average, its "
        f"landmarks by {moved:.3f} pixels at most"
    )


def main() -> None:
    """Write all faces and report."""
    args = parse_args()
    root, out = Path(args.root), Path(args.out)
    if out.resolve() == root.resolve():
        sys.exit(f"300vw: {out} holds the videos; name another folder for the images")
    videos = args.videos or [v for split in args.splits for v in SPLITS[split]]
    videos = list(dict.fromkeys(videos))
    tasks = [(root, out, video, args) for video in videos]
    results = dataset_cli.in_parallel(convert, tasks, args.workers, "videos")
    bad = [reason for _, reason in results if reason]
    good = [video for video, (_, reason) in zip(videos, results) if not reason]
    print(f"{out}: {sum(count for count, _ in results):,} faces of {len(good)} videos")
    if good:
        report(compare(root, good[0], args))
    for reason in bad:
        print(f"bad: {reason}")
    if bad:
        sys.exit(f"300vw: {len(bad)} bad videos; fix them and start again")
    print(f"read with Face300VWFrameDataset(data_root={str(out)!r}, ids=[...])")


if __name__ == "__main__":
    main()
