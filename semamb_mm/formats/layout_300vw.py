"""300-VW's protocol: which video is in which category, and which frames are broken."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

_NUMBERS = {
    "train": (
        "001 002 003 004 007 009 010 011 013 015 016 017 018 019 020 022 025 027 028 "
        "029 031 033 034 035 037 039 041 043 044 046 047 048 049 053 057 059 112 113 "
        "115 119 120 123 138 143 144 160 204 205 223 225"
    ),
    "category1": (
        "114 124 125 126 150 158 401 402 505 506 507 508 509 510 511 514 515 518 519 "
        "520 521 522 524 525 537 538 540 541 546 547 548"
    ),
    "category2": "203 208 211 212 213 214 218 224 403 404 405 406 407 408 409 412 550 "
    "551 553",
    "category3": "410 411 516 517 526 528 529 530 531 533 557 558 559 562",
}
CATEGORIES = {name: tuple(ids.split()) for name, ids in _NUMBERS.items()}
TEST_CATEGORIES = ("category1", "category2", "category3")
SPLITS = {
    **CATEGORIES,
    "test": sum((CATEGORIES[name] for name in TEST_CATEGORIES), ()),
}
CATEGORY_OF = {video: name for name, ids in CATEGORIES.items() for video in ids}


@cache
def broken_frames() -> Mapping[str, frozenset[int]]:
    """Return each video's frames that the published list leaves out, from 1 on."""
    path = Path(__file__).with_name("300vw_broken_frames.txt")
    frames: dict[str, set[int]] = {}
    video = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        if ":" in line:
            video, line = line.split(":")
            frames[video] = set()
        for item in line.split():
            first, _, last = item.partition("-")
            frames[video].update(range(int(first), int(last or first) + 1))
    return {video: frozenset(numbers) for video, numbers in frames.items()}


def numbered_files(
    folder: str | os.PathLike, suffixes: Sequence[str]
) -> dict[int, str]:
    """Return the paths of files called like ``000001.pts`` by their number.

    A folder that is not there has none.
    """
    folder = os.fspath(folder)
    found = {}
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
        stem, suffix = os.path.splitext(name)
        if stem.isdigit() and suffix.lower() in suffixes:
            found[int(stem)] = os.path.join(folder, name)
    return found
