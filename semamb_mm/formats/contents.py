"""What the face data sets hold on disk, against what their protocols say.

A data set's contents are its numbers, the files that its lists name, and the files that
are there; :func:`find_problems` compares them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from .aflw_list import find_aflw_list, find_image_folder, read_aflw_list
from .files import UNFINISHED
from .images import IMAGE_SUFFIXES
from .layout_300vw import CATEGORIES, CATEGORY_OF, broken_frames, numbered_files
from .layout_300w import MIRRORED, PARTS, SPLITS, find_part, image_root
from .videos import scan_video


class Contents(NamedTuple):
    """What a data set has: numbers, files that its lists name, files."""

    counts: dict[str, int]
    named: list[str]
    present: list[str]


def is_hidden(name: str) -> bool:
    """Whether a file or folder was left by a system or an editor.

    What this package has not finished writing is not.

    Args:
        name: Its own name, without a folder.

    Example:
        >>> is_hidden(".DS_Store"), is_hidden("__MACOSX"), is_hidden("images")
        (True, True, False)
    """
    if name.startswith(UNFINISHED):
        return False
    return name.startswith(".") or name in ("__MACOSX", "@eaDir")


def take_out_hidden(root: str, contents: Contents) -> tuple[Contents, list[str]]:
    """Return contents without hidden files that no list names, and those files."""
    named = set(contents.named)
    hidden = [
        path
        for path in contents.present
        if path not in named
        and any(map(is_hidden, path.rpartition(root)[2].strip("/").split("/")))
    ]
    left = sorted(set(contents.present) - set(hidden))
    return contents._replace(present=left), sorted(hidden)


def files_below(root: str, *folders: str) -> list[str]:
    """Return all files of the folders in a data set's folder."""
    return [
        os.path.join(base, name)
        for folder in folders
        for base, _, names in os.walk(os.path.join(root, folder))
        for name in names
    ]


def read_300w(root: str) -> Contents:
    """Return 300W's contents: each image needs its .pts file, and the reverse."""
    counts, named, present = {}, [], []
    for part in PARTS:
        try:
            folder = str(find_part(root, part))
        except FileNotFoundError:
            counts[part] = 0
            named.append(str(image_root(root) / part))
            continue
        images: dict[str, str] = {}
        stems: set[str] = set()
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
    """Return 300-VW's contents: the videos as downloaded, or extracted frames, or both.

    The frames of the published list of broken ones are not counted.
    """
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
        annotated = numbered_files(os.path.join(folder, "annot"), (".pts",))
        frames = numbered_files(os.path.join(folder, "imgs"), IMAGE_SUFFIXES)
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


def read_aflw(root: str) -> Contents:
    """Return AFLW's contents; images that the list does not name are counted."""
    faces = read_aflw_list(find_aflw_list(root))
    names = sorted(set(faces.names))
    folder = str(find_image_folder(root, names))
    named = [os.path.join(folder, name) for name in names]
    present = set(files_below(folder, *{name.split("/")[0] for name in names}))
    counts = {f"{split} faces": len(rows) for split, rows in faces.splits.items()}
    counts["images not in the list"] = len(present - set(named))
    return Contents(counts, named, sorted(present & set(named)))


def video_damage(path: str) -> str:
    """Return what is wrong with a video of 300-VW, or nothing; frames are counted."""
    facts = scan_video(path)
    annotated = len(
        numbered_files(os.path.join(os.path.dirname(path), "annot"), (".pts",))
    )
    if facts.num_frames == annotated and facts.promised <= annotated:
        return ""
    return (
        f"{facts.num_frames:,} frames can be decoded of {facts.promised:,} that its "
        f"header promises, and there are {annotated:,} .pts files"
    )


def find_problems(expected: Mapping[str, int], contents: Contents) -> list[str]:
    """Return a line for every wrong number and every file too many or too few."""
    problems = [
        f"{name}: {contents.counts[name]:,} where {number:,} are expected"
        for name, number in expected.items()
        if contents.counts[name] != number
    ]
    named, present = Counter(contents.named), set(contents.present)
    problems += [f"missing: {path}" for path in sorted(named.keys() - present)]
    problems += [f"surplus: {path}" for path in sorted(present - named.keys())]
    problems += [f"listed {n} times: {path}" for path, n in named.items() if n > 1]
    return problems
