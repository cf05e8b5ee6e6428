"""Check a data set on disk against its protocol's numbers.

Counts what its lists name, and names every file that is missing, not named by
any list, or (with --verify) not readable in full: images, .pts files, videos.
Hidden files, such as .DS_Store, are named, and are no problem. The exit status is 1
if something is wrong. The face data sets (300w, 300vw, aflw) need neither
framework, the others MMPretrain.
"""

try:
    import semamb_mm  # noqa: F401
except ImportError as error:
    raise SystemExit(
        f"{error}\nIn a checkout, type 'source .venv/bin/activate'; docs/install.md"
    ) from error

import argparse
import io
import os
import sys
from collections.abc import Callable
from typing import NamedTuple

from mmengine import fileio
from PIL import Image

from semamb_mm.dataset_cli import dataset_parser, in_parallel
from semamb_mm.formats.contents import (
    Contents,
    find_problems,
    read_300vw,
    read_300w,
    read_aflw,
    take_out_hidden,
    video_damage,
)
from semamb_mm.formats.layout_300w import PARTS
from semamb_mm.formats.pts import read_pts


class Entry(NamedTuple):
    """How to read a data set, and the numbers that it should have."""

    read: Callable[[str], Contents]
    expected: dict[str, int]


def retrieval(reader: str, *arguments: str) -> Callable[[str], Contents]:
    """Return a reader of a retrieval data set; MMPretrain may not be installed."""

    def read(root: str) -> Contents:
        from semamb_mm.pretrain.datasets import contents

        return getattr(contents, reader)(root, *arguments)

    return read


SOP_FOLDERS = (
    "bicycle_final",
    "cabinet_final",
    "chair_final",
    "coffee_maker_final",
    "fan_final",
    "kettle_final",
    "lamp_final",
    "mug_final",
    "sofa_final",
    "stapler_final",
    "table_final",
    "toaster_final",
)

# MARS: counted in its published lists. CUB, CARS196: the same in every paper that
# splits them so. LPW: persons and tracklets are sums of the table on its page
# (liuyu.us/dataset/lpw), the images public re-identification code's. Omniglot:
# small1 and small2 counted in their archives, the full ones (recollection).
# SOP, Market-1501, In-Shop: (recollection) of the data sets' own descriptions.
# 300W: iBUG's parts, as every paper that divides it so. 300-VW: (recollection) of
# papers that leave out the broken frames; with those, the test frames are the
# 123,405 of others. AFLW: the papers that use the list.
DATASETS = {
    "cub": Entry(
        retrieval("read_zero_shot", "CUBRetrieval", "images"),
        {
            "train classes": 100,
            "train images": 5864,
            "test classes": 100,
            "test images": 5924,
        },
    ),
    "cars196": Entry(
        retrieval(
            "read_zero_shot",
            "CARS196Retrieval",
            "car_ims",
            "cars_train",
            "cars_test",
        ),
        {
            "train classes": 98,
            "train images": 8054,
            "test classes": 98,
            "test images": 8131,
        },
    ),
    "sop": Entry(
        retrieval("read_zero_shot", "SOPRetrieval", *SOP_FOLDERS),
        {
            "train classes": 11318,
            "train images": 59551,
            "test classes": 11316,
            "test images": 60502,
        },
    ),
    "market1501": Entry(
        retrieval("read_market1501"),
        {
            "train persons": 751,
            "train images": 12936,
            "query persons": 750,
            "queries": 3368,
            "gallery persons": 750,
            "gallery images": 13115,
            "distractors": 2798,
            "junk images": 3819,
        },
    ),
    "inshop": Entry(
        retrieval("read_inshop"),
        {
            "train items": 3997,
            "test items": 3985,
            "train images": 25882,
            "query images": 14218,
            "gallery images": 12612,
        },
    ),
    "mars": Entry(
        retrieval("read_mars"),
        {
            "train persons": 625,
            "train tracklets": 8298,
            "train images": 509914,
            # 634, the distractors and the junk.
            "test persons": 636,
            "test tracklets": 12180,
            "test images": 681089,
            "queries": 1980,
        },
    ),
    "lpw": Entry(
        retrieval("read_lpw"),
        {
            "train persons": 1975,
            "train tracklets": 5866,
            "train images": 418739,
            "test persons": 756,
            "test tracklets": 1828,
            "test images": 171808,
            "queries": 756,
        },
    ),
    "omniglot-small": Entry(
        retrieval("read_omniglot", "small"),
        {
            "images_background_small1 characters": 136,
            "images_background_small1 images": 2720,
            "images_background_small2 characters": 156,
            "images_background_small2 images": 3120,
        },
    ),
    "omniglot": Entry(
        retrieval("read_omniglot", "full"),
        {
            "images_background characters": 964,
            "images_background images": 19280,
            "images_evaluation characters": 659,
            "images_evaluation images": 13180,
        },
    ),
    "300w": Entry(
        read_300w,
        dict(PARTS),
    ),
    "300vw": Entry(
        read_300vw,
        {
            "train videos": 50,
            "train frames": 95192,
            "category1 videos": 31,
            "category1 frames": 62135,
            "category2 videos": 19,
            "category2 frames": 32805,
            "category3 videos": 14,
            "category3 frames": 26338,
        },
    ),
    "aflw": Entry(
        read_aflw,
        {"train faces": 20000, "test faces": 4386, "test_frontal faces": 1314},
    ),
}


def damage(path: str) -> str:
    """Return why a file cannot be decoded in full; empty if it can."""
    try:
        if path.endswith(".pts"):
            read_pts(path)
        elif path.endswith(".avi"):
            return video_damage(path)
        else:
            with Image.open(io.BytesIO(fileio.get(path))) as image:
                image.load()
    # Decoders raise whatever a damaged file makes them stumble over.
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = dataset_parser(__doc__, workers=" that decode", name=tuple(DATASETS))
    parser.add_argument(
        "--verify", action="store_true", help="decode every image and video"
    )
    return parser.parse_args()


def main() -> None:
    """Print the data set's numbers, then every problem."""
    args = parse_args()
    entry = DATASETS[args.name]
    if not os.path.isdir(args.root):
        sys.exit(f"{args.name}: no folder {args.root}")
    try:
        root = os.path.normpath(args.root)
        contents, hidden = take_out_hidden(root, entry.read(root))
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"{args.name}: {error}")
    for name, number in contents.counts.items():
        print(f"{name}: {number:,}")
    for path in hidden:
        print(f"hidden, not read: {path}")
    problems = find_problems(entry.expected, contents)
    if args.verify:
        files = sorted(set(contents.named) & set(contents.present))
        tasks = [(path,) for path in files]
        reasons = in_parallel(damage, tasks, args.workers, "decoding", chunksize=16)
        problems += [
            f"unreadable: {path} ({reason})"
            for path, reason in zip(files, reasons)
            if reason
        ]
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f"{args.name}: {len(problems):,} problems")
    print(f"{args.name}: all as expected")


if __name__ == "__main__":
    main()
