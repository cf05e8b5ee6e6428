"""Check a data set on disk against its protocol's numbers.

Counts what its lists name, and names every file that is missing, not named by
any list, or (with --verify) not readable in full: images, .pts files, videos.
The exit status is 1 if something is wrong. The face data sets (300w, 300vw,
aflw) need neither framework, the others MMPretrain.
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

# MMPretrain may not be installed: what needs it is imported in the functions that
# are called for its data sets.


class Contents(NamedTuple):
    """What a data set has: numbers, files that its lists name, files."""

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


def read_zero_shot(class_name: str, *folders: str) -> Callable[[str], Contents]:
    """Reader of a data set split by its classes; its boxes are read as well."""

    def read(root: str) -> Contents:
        from semamb_mm.pretrain import datasets

        dataset_class = getattr(datasets, class_name)
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
    from semamb_mm.pretrain.datasets.mars import read_queries, read_tracklets

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
    from semamb_mm.pretrain.datasets import LPW

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
        from semamb_mm.pretrain.datasets.omniglot import IMAGE, PARTS, list_part

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


def read_300w(root: str) -> Contents:
    """Each image needs a .pts file of its stem, and the reverse."""
    from semamb_mm.formats.images import IMAGE_SUFFIXES
    from semamb_mm.formats.layout_300w import (
        MIRRORED,
        PARTS,
        SPLITS,
        find_part,
        image_root,
    )

    counts, named, present = {}, [], []
    for part in PARTS:
        try:
            folder = str(find_part(root, part))
        except FileNotFoundError:
            counts[part] = 0
            named.append(str(image_root(root) / part))
            continue
        images, stems = {}, set()
        for path in files_below(folder, ""):
            stem, suffix = os.path.splitext(path)
            if stem.endswith(MIRRORED):
                continue
            present.append(path)
            if suffix.lower() in IMAGE_SUFFIXES:
                images.setdefault(stem, path)
            if suffix.lower() in (*IMAGE_SUFFIXES, ".pts"):
                stems.add(stem)
        counts[part] = len(stems)
        named += [f"{stem}.pts" for stem in stems]
        named += [images.get(stem, f"{stem}.jpg") for stem in stems]
    for split, parts in SPLITS.items():
        counts[split] = sum(counts[part] for part in parts)
    return Contents(counts, named, present)


def read_300vw(root: str) -> Contents:
    """The videos as downloaded, or extracted frames, or both.

    The frames of the published list of broken ones are not counted.
    """
    from semamb_mm.formats.images import IMAGE_SUFFIXES
    from semamb_mm.formats.layout_300vw import CATEGORIES, CATEGORY_OF, broken_frames

    counts = {
        f"{name} {kind}": 0 for name in CATEGORIES for kind in ("videos", "frames")
    }
    named, present = [], []
    for video, category in CATEGORY_OF.items():
        folder = os.path.join(root, video)
        if not os.path.isdir(folder):
            named.append(folder)
            continue
        video_file = os.path.join(folder, "vid.avi")
        has_video = os.path.isfile(video_file)
        has_frames = os.path.isdir(os.path.join(folder, "imgs"))
        if has_video or not has_frames:
            named.append(video_file)
        present += [video_file] * has_video + files_below(folder, "annot", "imgs")
        annotated = _numbered(os.path.join(folder, "annot"), (".pts",))
        frames = _numbered(os.path.join(folder, "imgs"), IMAGE_SUFFIXES)
        for number in range(1, max([1, *annotated, *frames]) + 1):
            stem = f"{number:06d}"
            named.append(os.path.join(folder, "annot", f"{stem}.pts"))
            if has_frames:
                default = os.path.join(folder, "imgs", f"{stem}.jpg")
                named.append(frames.get(number, default))
        counts[f"{category} videos"] += 1
        broken = broken_frames().get(video, frozenset())
        counts[f"{category} frames"] += len(annotated.keys() - broken)
    return Contents(counts, named, present)


def _numbered(folder: str, suffixes: tuple[str, ...]) -> dict[int, str]:
    """Number to path of a folder's files called like 000001.pts."""
    found = {}
    for name in os.listdir(folder) if os.path.isdir(folder) else ():
        stem, suffix = os.path.splitext(name)
        if stem.isdigit() and suffix.lower() in suffixes:
            found[int(stem)] = os.path.join(folder, name)
    return found


def read_aflw(root: str) -> Contents:
    """AFLW has more images than the list names: those are only counted."""
    from semamb_mm.formats.aflw_list import (
        find_aflw_list,
        find_image_folder,
        read_aflw_list,
    )

    faces = read_aflw_list(find_aflw_list(root))
    names = sorted(set(faces.names))
    folder = str(find_image_folder(root, names))
    named = [os.path.join(folder, name) for name in names]
    present = set(files_below(folder, *{name.split("/")[0] for name in names}))
    counts = {f"{split} faces": len(rows) for split, rows in faces.splits.items()}
    counts["images not in the list"] = len(present - set(named))
    return Contents(counts, named, sorted(present & set(named)))


# MARS: counted in its published lists. CUB, CARS196: the same in every paper that
# splits them so. LPW: persons and tracklets are sums of the table on its page
# (liuyu.us/dataset/lpw), the images public re-identification code's. Omniglot:
# small1 and small2 counted in their archives, the full ones (recollection).
# 300W: iBUG's parts, as every paper that divides it so. 300-VW: (recollection) of
# papers that leave out the broken frames; with those, the test frames are the
# 123,405 of others. AFLW: the papers that use the list.
DATASETS = {
    "cub": Entry(
        read_zero_shot("CUBRetrieval", "images"),
        {
            "train classes": 100,
            "train images": 5864,
            "test classes": 100,
            "test images": 5924,
        },
    ),
    "cars196": Entry(
        read_zero_shot("CARS196Retrieval", "car_ims", "cars_train", "cars_test"),
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
    "300w": Entry(
        read_300w,
        {
            "afw": 337,
            "helen/trainset": 2000,
            "lfpw/trainset": 811,
            "helen/testset": 330,
            "lfpw/testset": 224,
            "ibug": 135,
        },
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
    """Why a file cannot be decoded in full; empty if it can."""
    try:
        if path.endswith(".pts"):
            from semamb_mm.formats.pts import read_pts

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


def video_damage(path: str) -> str:
    """What is wrong with a video of 300-VW: its frames are counted."""
    from semamb_mm.formats.videos import scan_video

    facts = scan_video(path)
    annotated = len(_numbered(os.path.join(os.path.dirname(path), "annot"), (".pts",)))
    if facts.num_frames == annotated and facts.promised <= annotated:
        return ""
    return (
        f"{facts.num_frames:,} frames can be decoded of {facts.promised:,} that its "
        f"header promises, and there are {annotated:,} .pts files"
    )


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
    parser.add_argument(
        "--verify", action="store_true", help="decode every image and video"
    )
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
    if not os.path.isdir(args.root):
        sys.exit(f"{args.name}: no folder {args.root}")
    try:
        contents = entry.read(os.path.normpath(args.root))
    except (ImportError, OSError, ValueError) as error:
        sys.exit(f"{args.name}: {error}")
    for name, number in contents.counts.items():
        print(f"{name}: {number:,}")
    problems = find_problems(entry, contents)
    files = sorted(set(contents.named) & set(contents.present))
    if args.verify and files:
        reasons = track_progress_rich(
            damage, files, nproc=args.workers, chunksize=16, description="decoding"
        )
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
