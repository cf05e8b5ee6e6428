"""Check a data set on disk against its protocol's numbers.

Counts what its lists name, and names every image that is missing, not named
by any list, or (with --verify) not readable in full. The exit status is 1 if
something is wrong.
"""

import argparse
import io
import os
import sys
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

from mmengine import fileio
from mmengine.utils import track_progress_rich
from PIL import Image

from semamb_mm.pretrain.datasets import LPW, CARS196Retrieval, CUBRetrieval
from semamb_mm.pretrain.datasets.mars import read_queries, read_tracklets
from semamb_mm.pretrain.datasets.omniglot import IMAGE, PARTS, list_part


class Contents(NamedTuple):
    """What a data set has: numbers, images that its lists name, files."""

    counts: dict[str, int]
    named: list[str]
    present: list[str]


class Entry(NamedTuple):
    """How to read a data set, and the numbers that it should have."""

    read: Callable[[str], Contents]
    expected: dict[str, int]


def files_below(root: str, *folders: str) -> list[str]:
    """All files of the folders in a data set's folder."""
    return [
        os.path.join(base, name)
        for folder in folders
        for base, _, names in os.walk(os.path.join(root, folder))
        for name in names
    ]


def read_zero_shot(dataset_class: type, *folders: str) -> Callable[[str], Contents]:
    """Reader of a data set split by its classes; its boxes are read as well."""

    def read(root: str) -> Contents:
        counts, named = {}, []
        for split in ("train", "test"):
            samples = dataset_class(root, split=split, crop=True).load_samples()
            counts[f"{split} classes"] = len({s["gt_label"] for s in samples})
            counts[f"{split} images"] = len(samples)
            named += [sample["img_path"] for sample in samples]
        return Contents(counts, named, files_below(root, *folders))

    return read


def read_mars(root: str) -> Contents:
    """Junk and distractors are counted, as in the paper."""
    counts, named = {}, []
    for split in ("train", "test"):
        tracklets = read_tracklets(root, split)
        images = [path for tracklet in tracklets for path in tracklet.images]
        counts[f"{split} persons"] = len({t.person for t in tracklets})
        counts[f"{split} tracklets"] = len(tracklets)
        counts[f"{split} images"] = len(images)
        named += images
    counts["queries"] = len(read_queries(root, tracklets))
    return Contents(counts, named, files_below(root, "bbox_train", "bbox_test"))


def read_lpw(root: str) -> Contents:
    """Without lists only the numbers show what is missing."""
    counts, named = {}, []
    for split in ("train", "test"):
        samples = LPW(root, split=split).load_samples()
        queries = {s["tracklet_id"] for s in samples if s.get("role") == "query"}
        counts[f"{split} persons"] = len({s["gt_label"] for s in samples})
        counts[f"{split} tracklets"] = len({s["tracklet_id"] for s in samples})
        counts[f"{split} images"] = len(samples)
        named += [sample["img_path"] for sample in samples]
    counts["queries"] = len(queries)
    return Contents(counts, named, files_below(root, "scen1", "scen2", "scen3"))


def read_omniglot(version: str) -> Callable[[str], Contents]:
    """Reader of the two parts, folders or archives."""

    def read(root: str) -> Contents:
        counts, named, present = {}, [], []
        for split in ("train", "test"):
            part = PARTS[version, split]
            prefix, names = list_part(root, part)
            drawings = [match for match in map(IMAGE.fullmatch, names) if match]
            characters = {(match[1], match[2]) for match in drawings}
            counts[f"{part} characters"] = len(characters)
            counts[f"{part} images"] = len(drawings)
            named += [prefix + match[0] for match in drawings]
            present += [prefix + name for name in names if not name.endswith("/")]
        return Contents(counts, named, present)

    return read


# MARS: counted in its published lists. CUB, CARS196: the same in every paper that
# splits them so. LPW: persons and tracklets are sums of the table on its page
# (liuyu.us/dataset/lpw), the images public re-identification code's. Omniglot:
# small1 and small2 counted in their archives, the full ones (recollection).
DATASETS = {
    "cub": Entry(
        read_zero_shot(CUBRetrieval, "images"),
        {
            "train classes": 100,
            "train images": 5864,
            "test classes": 100,
            "test images": 5924,
        },
    ),
    "cars196": Entry(
        read_zero_shot(CARS196Retrieval, "car_ims", "cars_train", "cars_test"),
        {
            "train classes": 98,
            "train images": 8054,
            "test classes": 98,
            "test images": 8131,
        },
    ),
    "mars": Entry(
        read_mars,
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
        read_lpw,
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
        read_omniglot("small"),
        {
            "images_background_small1 characters": 136,
            "images_background_small1 images": 2720,
            "images_background_small2 characters": 156,
            "images_background_small2 images": 3120,
        },
    ),
    "omniglot": Entry(
        read_omniglot("full"),
        {
            "images_background characters": 964,
            "images_background images": 19280,
            "images_evaluation characters": 659,
            "images_evaluation images": 13180,
        },
    ),
}


def damage(path: str) -> str:
    """Why an image cannot be decoded in full; empty if it can."""
    try:
        with Image.open(io.BytesIO(fileio.get(path))) as image:
            image.load()
    # Decoders raise whatever a damaged file makes them stumble over.
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def find_problems(entry: Entry, contents: Contents) -> list[str]:
    """A line for every wrong number and every file too many or too few."""
    problems = [
        f"{name}: {contents.counts[name]:,} where {number:,} are expected"
        for name, number in entry.expected.items()
        if contents.counts[name] != number
    ]
    named, present = Counter(contents.named), set(contents.present)
    problems += [f"missing: {path}" for path in sorted(named.keys() - present)]
    problems += [f"surplus: {path}" for path in sorted(present - named.keys())]
    problems += [f"listed {n} times: {path}" for path, n in named.items() if n > 1]
    return problems


def parse_args():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=DATASETS, help="data set")
    parser.add_argument("root", help="the data set's folder")
    parser.add_argument("--verify", action="store_true", help="decode every image")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help="processes that decode (default: one a CPU core)",
    )
    return parser.parse_args()


def main():
    args = parse_args()
    entry = DATASETS[args.name]
    try:
        contents = entry.read(os.path.normpath(args.root))
    except (OSError, ValueError) as error:
        sys.exit(f"{args.name}: {error}")
    for name, number in contents.counts.items():
        print(f"{name}: {number:,}")
    problems = find_problems(entry, contents)
    images = sorted(set(contents.named) & set(contents.present))
    if args.verify and images:
        reasons = track_progress_rich(
            damage, images, nproc=args.workers, chunksize=64, description="decoding"
        )
        problems += [
            f"unreadable: {path} ({reason})"
            for path, reason in zip(images, reasons)
            if reason
        ]
    for problem in problems:
        print(problem)
    if problems:
        sys.exit(f"{args.name}: {len(problems):,} problems")
    print(f"{args.name}: all as expected")


if __name__ == "__main__":
    main()
