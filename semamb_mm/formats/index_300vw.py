"""What is to be known of a video of 300-VW before its frames are read, kept in a file.

A video's index pairs frames with ``.pts`` files, and holds all landmarks and where
reading may begin. To make it takes the decoding of the whole video, so it is kept; a
fingerprint tells whether it is still the video's. A video lies as downloaded
(:data:`VIDEO`: ``<id>/vid.avi``) or as extracted frames (:data:`FRAMES`:
``<id>/imgs/000001.jpg``), both with ``<id>/annot/000001.pts``.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple
from zipfile import BadZipFile

import numpy as np
from PIL import Image

from semamb_mm.faces.landmarks import NUM_LANDMARKS

from .files import atomic_write
from .images import IMAGE_SUFFIXES, BadImageError
from .layout_300vw import numbered_files
from .pts import PtsError, read_pts
from .videos import VideoError, VideoFacts, scan_video

# Videos that are read from the start without a word if need be.
FEW_FRAMES = 250
# Part of an index's fingerprint: raised when what it holds changes.
INDEX_VERSION = 6


@dataclass
class VideoIndex:
    """A video's index.

    Attributes:
        numbers: ``(N,)`` int32 numbers of its ``.pts`` files, ascending.
        keypoints: ``(N, 1, 68, 2)`` float32, pixels; of one face, as MMPose has it.
        boxes: ``(N, 1, 4)`` float32, of the keypoints.
        visible: ``(N, 1, 68)`` float32, 1 where a keypoint is in the image.
        size: Width and height of the frames, pixels.
        stamps: ``(N, 2)`` int64, size and time of change of the ``.pts`` files.
        names: ``(N,)`` str, files of the extracted frames; None for videos.
        facts: Of the video file; None for extracted frames.
        notes: What the user is warned of.
    """

    numbers: np.ndarray
    keypoints: np.ndarray
    boxes: np.ndarray
    visible: np.ndarray
    size: tuple[int, int]
    stamps: np.ndarray
    names: np.ndarray | None
    facts: VideoFacts | None
    notes: list[str]

    def annotation(
        self, row: int, path: str, origin: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return a frame's keypoints, box and visibility, each with one face.

        The ``.pts`` file ``path`` is read anew if it is not the indexed one.
        """
        if _file_stamp(path) == tuple(self.stamps[row].tolist()):
            indexed = (self.keypoints, self.boxes, self.visible)
            keypoints, boxes, visible = (array[row].copy() for array in indexed)
            return keypoints, boxes, visible
        keypoints = read_pts(path, NUM_LANDMARKS, origin)[None]
        return keypoints, *_box_and_visible(keypoints, self.size)


class Frames(NamedTuple):
    """The frames of a video that may be used.

    Attributes:
        usable: Their numbers.
        size: Width and height, pixels.
        names: Number to file of extracted frames; None for videos.
        facts: Of the video file; None for extracted frames.
        notes: What the user is warned of.
    """

    usable: set[int]
    size: tuple[int, int]
    names: dict[int, str] | None
    facts: VideoFacts | None
    notes: list[str]


class Layout(NamedTuple):
    """Where a video's pictures are.

    Attributes:
        pictures: File or folder of the pictures in the video's folder.
        find: Pairs them with annotations: takes the video's folder, the numbers of its
            ``.pts`` files and what to do on a mismatch, ``'error'`` or ``'skip'``.
    """

    pictures: str
    find: Callable[[Path, set[int], str], Frames]


def pts_path(folder: str | os.PathLike, number: int) -> str:
    """Return the ``.pts`` file of a frame in a video's folder."""
    return f"{folder}/annot/{number:06d}.pts"


def build_index(
    folder: Path, layout: Layout, origin: int, on_mismatch: str
) -> VideoIndex:
    """Index the video of a folder.

    Args:
        folder: Named like the video.
        layout: :data:`VIDEO` or :data:`FRAMES`.
        origin: As in :func:`~semamb_mm.formats.pts.read_pts`.
        on_mismatch: ``'error'``, or ``'skip'``: take the frames beyond doubt.

    Raises:
        PtsError: If an annotation cannot be read or frames and annotations differ.
        VideoError: If the video cannot be decoded in full.
        FileNotFoundError: If there are no extracted frames.
    """
    annotated = _annotated(folder)
    frames = layout.find(folder, set(annotated), on_mismatch)
    numbers = [number for number in annotated if number in frames.usable]
    keypoints = np.empty((len(numbers), 1, NUM_LANDMARKS, 2), np.float32)
    stamps = np.empty((len(numbers), 2), np.int64)
    for row, number in enumerate(numbers):
        path = pts_path(folder, number)
        stamps[row] = _file_stamp(path)
        keypoints[row, 0] = read_pts(path, NUM_LANDMARKS, origin)
    names = None
    if frames.names:
        names = np.array([frames.names[number] for number in numbers])
    boxes, visible = _box_and_visible(keypoints, frames.size)
    return VideoIndex(
        np.array(numbers, np.int32),
        keypoints,
        boxes,
        visible,
        frames.size,
        stamps,
        names,
        frames.facts,
        frames.notes,
    )


# the kept file


def index_folder(root: str | os.PathLike, cache_dir: str | None) -> Path:
    """Return the folder for a data root's indices, below it if that can be written."""
    root = Path(root).resolve()
    if cache_dir is not None:
        return Path(cache_dir)
    if os.access(root, os.W_OK):
        return root / ".semamb_mm_index"
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    place = hashlib.sha256(str(root).encode()).hexdigest()[:16]
    return home / "semamb_mm" / place


def fingerprint(folder: Path, layout: Layout, origin: int, on_mismatch: str) -> str:
    """Return what changes with the video, and when files come, go or are replaced.

    A ``.pts`` file that is written to in place changes no folder: each is looked at
    when it is used, see :meth:`VideoIndex.annotation`. To do that here would take more
    than a second for 300-VW's 218,000, and minutes over a network.
    """
    parts = [INDEX_VERSION, origin, on_mismatch]
    for path in (folder / layout.pictures, folder / "annot"):
        if path.is_file():
            parts += [path.stat().st_size, path.stat().st_mtime_ns]
        elif path.is_dir():
            parts += [len(os.listdir(path)), path.stat().st_mtime_ns]
    return " ".join(map(str, parts))


def load_index(path: Path, expected: str) -> VideoIndex | None:
    """Return a kept index; None if it is absent, not ours or of another fingerprint."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            if str(stored["fingerprint"]) != expected:
                return None
            facts = json.loads(str(stored["facts"]))
            names = stored["names"]
            return VideoIndex(
                stored["numbers"],
                stored["keypoints"],
                stored["boxes"],
                stored["visible"],
                tuple(stored["size"].tolist()),
                stored["stamps"],
                names if names.size else None,
                facts
                and VideoFacts(**facts, keys=stored["keys"], packets=stored["packets"]),
                json.loads(str(stored["notes"])),
            )
    except (OSError, ValueError, KeyError, TypeError, BadZipFile):
        return None


def store_index(path: Path, index: VideoIndex, fingerprint: str) -> None:
    """Keep an index.

    Raises:
        OSError: If the file cannot be written.
    """
    facts = {} if index.facts is None else asdict(index.facts)
    keys, packets = facts.pop("keys", ()), facts.pop("packets", ())
    try:
        with atomic_write(path, "wb") as file:
            np.savez(
                file,
                fingerprint=fingerprint,
                numbers=index.numbers,
                keypoints=index.keypoints,
                boxes=index.boxes,
                visible=index.visible,
                size=index.size,
                stamps=index.stamps,
                names=() if index.names is None else index.names,
                facts=json.dumps(facts or None),
                keys=keys,
                packets=packets,
                notes=json.dumps(index.notes),
            )
    except OSError as error:
        raise OSError(
            f"{path}: the index cannot be written ({error}); name a folder that "
            "can be with cache_dir"
        ) from error


# annotations and frames


def _annotated(folder: Path) -> list[int]:
    """Return the numbers of a video's ``.pts`` files, ascending."""
    annot = folder / "annot"
    if not annot.is_dir():
        raise PtsError(f"{folder}: no folder annot/ with .pts files")
    numbers = []
    for name in os.listdir(annot):
        stem, suffix = os.path.splitext(name)
        if suffix == ".pts" and not name.startswith("."):
            if not stem.isdigit() or len(stem) != 6 or not int(stem):
                raise PtsError(
                    f"{annot / name}: expected names like 000001.pts, numbered from 1"
                )
            numbers.append(int(stem))
    if not numbers:
        raise PtsError(f"{annot} is empty; expected 000001.pts, 000002.pts, ...")
    return sorted(numbers)


def _file_stamp(path: str) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def _box_and_visible(
    keypoints: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(..., 4)`` boxes of ``(..., 68, 2)`` keypoints; 1 for those inside."""
    boxes = np.concatenate([keypoints.min(-2), keypoints.max(-2)], -1)
    inside = (keypoints > -0.5) & (keypoints < np.subtract(size, 0.5))
    return boxes, np.asarray(inside.all(-1), np.float32)


def _video_frames(folder: Path, annotated: set[int], on_mismatch: str) -> Frames:
    """Pair a video's frames with annotations by number."""
    path = folder / "vid.avi"
    facts = scan_video(path)
    usable, notes = _paired(folder.name, annotated, facts, on_mismatch)
    if facts.variable_rate:
        notes.append(
            f"{path}: the frame rate varies; frames are numbered in the order of "
            "decoding, not by time"
        )
    if facts.num_frames > FEW_FRAMES and not facts.seekable:
        notes.append(
            f"{path}: reading cannot begin in the middle, so that frames are "
            "reached by decoding from the start; shuffled reading will be slow. "
            "Extract the frames and use Face300VWFrameDataset"
        )
    return Frames(usable, (facts.width, facts.height), None, facts, notes)


def _extracted_frames(folder: Path, annotated: set[int], on_mismatch: str) -> Frames:
    """Pair extracted frames with annotations by number."""
    imgs = folder / "imgs"
    if not imgs.is_dir():
        raise FileNotFoundError(f"{folder}: no folder imgs/ with extracted frames")
    files = numbered_files(imgs, IMAGE_SUFFIXES)
    names = {number: os.path.basename(path) for number, path in files.items()}
    if not names:
        raise FileNotFoundError(
            f"{imgs} is empty; expected 000001.jpg, 000002.jpg, ..."
        )
    usable = annotated & set(names)
    complaints = _unpaired(annotated, set(names), "imgs/")
    notes = []
    if complaints:
        notes.append(_note(folder.name, complaints, usable, PtsError, on_mismatch))
    size = _first_size([imgs / names[number] for number in sorted(usable)])
    return Frames(usable, size, names, None, notes)


VIDEO = Layout("vid.avi", _video_frames)
FRAMES = Layout("imgs", _extracted_frames)


def _first_size(paths: list[Path]) -> tuple[int, int]:
    """Return width and height of the first image that has any."""
    for path in paths:
        try:
            with Image.open(path) as image:
                return image.size
        except (OSError, SyntaxError):
            continue  # named when it is read
    raise BadImageError(f"{paths[0].parent}: no readable image")


def _paired(
    video: str, annotated: set[int], facts: VideoFacts, on_mismatch: str
) -> tuple[set[int], list[str]]:
    """Return the frames that may be used, and a note where something is missing."""
    frames = set(range(1, facts.num_frames + 1))
    lost = ""
    if facts.promised > facts.num_frames:
        lost = (
            f"vid.avi promises {facts.promised} frames, but only "
            f"{facts.num_frames} can be decoded: it may be cut short, damaged or "
            f"have gaps; frames are certain up to {facts.certain:06d}"
        )
    if annotated == frames and not facts.damaged:
        # Nothing can be shifted, whatever else the header promises.
        return frames, [f"video {video}: {lost}"] if lost else []
    usable = annotated & {number + 1 for number in facts.sound}
    complaints = [lost] if lost else []
    if facts.damaged:
        damaged = {number + 1 for number in facts.damaged}
        complaints.append(f"{len(damaged)} damaged frames {_shown(damaged)}")
    error = VideoError if complaints else PtsError
    complaints += _unpaired(annotated, frames, "vid.avi")
    return usable, [_note(video, complaints, usable, error, on_mismatch)]


def _note(
    video: str,
    complaints: list[str],
    usable: set[int],
    error: type[ValueError],
    on_mismatch: str,
) -> str:
    """Raise what is wrong, or say how many frames are used all the same."""
    text = f"video {video}: {' and '.join(complaints)}"
    if not usable:
        raise error(f"{text}. No frame can be used; fix the video's folder")
    if on_mismatch == "error":
        raise error(
            f"{text}. Expected one .pts file for each frame, numbered from 1; "
            f"on_mismatch='skip' takes the {len(usable)} frames that are beyond doubt"
        )
    return f"{text}; {len(usable)} frames are used"


def _unpaired(annotated: set[int], frames: set[int], where: str) -> list[str]:
    """Say which frames lack an annotation, and the reverse."""
    return [
        f"{len(numbers)} {text} {_shown(numbers)}"
        for numbers, text in (
            (frames - annotated, "frames without a .pts file in annot/"),
            (annotated - frames, f".pts files without a frame in {where}"),
        )
        if numbers
    ]


def _shown(numbers: set[int]) -> str:
    """Return a few of some frames' numbers."""
    first = ", ".join(f"{number:06d}" for number in sorted(numbers)[:5])
    return f"({first}{', ...' if len(numbers) > 5 else ''})"
