"""300-VW: videos of one face each, 68 landmarks in every frame."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from mmengine.logging import print_log
from mmengine.utils import track_iter_progress
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS
from PIL import Image

from ...fileio import atomic_write
from .pts_io import PtsError, read_pts
from .video_frames import VideoError, VideoFacts, VideoPool, scan_video

NUM_LANDMARKS = 68
CATEGORIES = {
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
CATEGORIES = {name: tuple(ids.split()) for name, ids in CATEGORIES.items()}
TEST_CATEGORIES = ("category1", "category2", "category3")
SPLITS = {
    **CATEGORIES,
    "test": sum((CATEGORIES[name] for name in TEST_CATEGORIES), ()),
}
CATEGORY_OF = {video: name for name, ids in CATEGORIES.items() for video in ids}
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp")
# Part of an index's fingerprint: raised when what it holds changes.
INDEX_VERSION = 1


@cache
def broken_frames() -> Mapping[str, frozenset[int]]:
    """Video to the frames that the published list leaves out, numbered from 1."""
    path = Path(__file__).with_name("300vw_broken_frames.txt")
    frames: dict[str, set[int]] = {}
    video = None
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


@dataclass
class _Video:
    """A video's index.

    Attributes:
        numbers: ``(N,)`` int32 numbers of its ``.pts`` files, ascending.
        keypoints: ``(N, 68, 2)`` float32, pixels.
        facts: of the video file; None for extracted frames.
    """

    numbers: np.ndarray
    keypoints: np.ndarray
    facts: VideoFacts | None


class _Frames(Sequence):
    """All samples' annotations, made when asked for: 300-VW has 218,000."""

    def __init__(self, describe: Callable, places: np.ndarray) -> None:
        self.describe, self.places = describe, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        video, row = self.places[index]
        return self.describe(int(video), int(row), index % len(self))

    def __deepcopy__(self, memo) -> _Frames:
        return self


class _Face300VW(BaseCocoStyleDataset):
    """What both layouts of 300-VW share: see :class:`Face300VWVideoDataset`."""

    METAINFO: dict = dict(from_file="configs/_base_/datasets/300vw.py")

    def __init__(
        self,
        data_root: str,
        split: str = "train",
        ids: Sequence[str] | None = None,
        stride: int = 1,
        leave_out_broken: bool | None = None,
        boxes: str | None = None,
        origin: int = 0,
        on_mismatch: str = "error",
        cache_dir: str | None = None,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if split not in SPLITS:
            raise ValueError(f"split is {split!r}; expected one of {sorted(SPLITS)}")
        if stride < 1:
            raise ValueError(f"stride is {stride}; expected 1 or more")
        if on_mismatch not in ("error", "skip"):
            raise ValueError(
                f"on_mismatch is {on_mismatch!r}; expected 'error' or 'skip'"
            )
        self.split = split
        self.ids = tuple(SPLITS[split] if ids is None else map(str, ids))
        self.stride = stride
        self.leave_out_broken = (
            split != "train" if leave_out_broken is None else leave_out_broken
        )
        self.boxes_file = boxes
        self.origin = origin
        self.on_mismatch = on_mismatch
        self.cache_dir = cache_dir
        super().__init__(
            ann_file="",
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(img=""),
            indices=indices,
            serialize_data=False,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    # the index

    def load_data_list(self) -> _Frames:
        """Reads the index, building what is missing of it."""
        root = Path(self.data_root)
        if not root.is_dir():
            raise FileNotFoundError(f"no folder {str(root)!r}; mend data_root")
        missing = [video for video in self.ids if not (root / video).is_dir()]
        if missing:
            raise FileNotFoundError(
                f"{root}: {len(missing)} of the {len(self.ids)} videos of split "
                f"{self.split!r} are missing: {', '.join(missing[:10])}"
                f"{', ...' if len(missing) > 10 else ''}. Expected a folder for each; "
                "ids=[...] takes fewer"
            )
        stale = [video for video in self.ids if self._cached(video) is None]
        if stale:
            print_log(
                f"{type(self).__name__}: indexing {len(stale)} videos of {root}, once",
                logger="current",
            )
            for video in track_iter_progress(stale):
                self._build(video)
        self._videos = [self._cached(video) for video in self.ids]
        self._boxes = self._load_boxes()
        places = []
        for position, (video, index) in enumerate(zip(self.ids, self._videos)):
            rows = np.arange(len(index.numbers))
            if self.leave_out_broken and video in broken_frames():
                rows = rows[~np.isin(index.numbers, list(broken_frames()[video]))]
            rows = rows[(index.numbers[rows] - 1) % self.stride == 0]
            places.append(np.stack([np.full(len(rows), position), rows], 1))
        return _Frames(self._describe, np.concatenate(places))

    def filter_data(self) -> _Frames:
        return self.data_list

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep some samples: the first so many, or those listed."""
        self.full_init()
        self.data_list = self._get_unserialized_subset(indices)

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> _Frames:
        chosen = slice(indices) if isinstance(indices, int) else list(indices)
        if isinstance(indices, int) and indices < 0:
            chosen = slice(indices, None)
        return _Frames(self._describe, self.data_list.places[chosen])

    def _cache_file(self, video: str) -> Path:
        root = Path(self.data_root).resolve()
        name = f"{type(self).__name__}-{video}.npz"
        if self.cache_dir is not None:
            return Path(self.cache_dir) / name
        if os.access(root, os.W_OK):
            return root / ".semamb_mm_index" / name
        home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
        place = hashlib.sha256(str(root).encode()).hexdigest()[:16]
        return home / "semamb_mm" / place / name

    def _fingerprint(self, video: str) -> str:
        """Changes with any file that the index was built from."""
        folder = Path(self.data_root) / video
        digest = hashlib.sha256(f"{INDEX_VERSION} {self.origin}".encode())
        for path in self._sources(folder):
            entries = [(path.name, path.stat())] if path.is_file() else []
            if path.is_dir():
                with os.scandir(path) as found:
                    entries = sorted((e.name, e.stat()) for e in found)
            for name, stat in entries:
                line = f"{name} {stat.st_size} {stat.st_mtime_ns}\n"
                digest.update(line.encode())
        return digest.hexdigest()

    def _cached(self, video: str) -> _Video | None:
        path = self._cache_file(video)
        try:
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["fingerprint"]) != self._fingerprint(video):
                    return None
                facts = json.loads(str(stored["facts"]))
                return _Video(
                    stored["numbers"],
                    stored["keypoints"],
                    facts and VideoFacts(**facts),
                )
        except (OSError, ValueError, KeyError):
            return None  # absent or not ours: built anew

    def _build(self, video: str) -> None:
        fingerprint = self._fingerprint(video)
        folder = Path(self.data_root) / video
        found, facts, where = self._images(folder)
        numbers = self._paired(video, self._annotated(folder), found, where)
        keypoints = np.empty((len(numbers), NUM_LANDMARKS, 2), np.float32)
        for row, number in enumerate(numbers):
            path = folder / "annot" / f"{number:06d}.pts"
            keypoints[row] = read_pts(path, NUM_LANDMARKS, self.origin)
        with atomic_write(self._cache_file(video), "wb") as file:
            np.savez(
                file,
                fingerprint=fingerprint,
                numbers=np.array(numbers, np.int32),
                keypoints=keypoints,
                facts=json.dumps(facts and asdict(facts)),
            )

    def _annotated(self, folder: Path) -> list[int]:
        """Numbers of a video's ``.pts`` files, ascending."""
        annot = folder / "annot"
        if not annot.is_dir():
            raise PtsError(f"{folder}: no folder annot/ with .pts files")
        numbers = []
        for path in annot.iterdir():
            if path.suffix == ".pts" and not path.name.startswith("."):
                if not path.stem.isdigit() or len(path.stem) != 6 or not int(path.stem):
                    raise PtsError(
                        f"{path}: expected names like 000001.pts, numbered from 1"
                    )
                numbers.append(int(path.stem))
        if not numbers:
            raise PtsError(f"{annot} is empty; expected 000001.pts, 000002.pts, ...")
        return sorted(numbers)

    def _paired(
        self, video: str, annotated: list[int], found: set[int], where: str
    ) -> list[int]:
        """Numbers with both an annotation and a frame; says what lacks either."""
        complaints = []
        for numbers, text in (
            (found - set(annotated), "frames without a .pts file in annot/"),
            (set(annotated) - found, f".pts files without a frame in {where}"),
        ):
            if numbers:
                shown = ", ".join(f"{n:06d}" for n in sorted(numbers)[:5])
                more = ", ..." if len(numbers) > 5 else ""
                complaints.append(f"{len(numbers)} {text} ({shown}{more})")
        both = sorted(found & set(annotated))
        if complaints:
            text = (
                f"video {video}: {' and '.join(complaints)}; {len(found)} frames, "
                f"{len(annotated)} .pts files, expected one for each, numbered from 1"
            )
            if self.on_mismatch == "error" or not both:
                raise PtsError(f"{text}. on_mismatch='skip' leaves them out")
            self._warn(f"{text}; {len(both)} are used")
        return both

    def _load_boxes(self) -> dict | None:
        if self.boxes_file is None:
            return None
        return json.loads(Path(self.boxes_file).read_text(encoding="utf-8"))

    def _warn(self, message: str) -> None:
        print_log(
            f"{type(self).__name__}: {message}", logger="current", level=logging.WARNING
        )

    # one sample

    def _describe(self, position: int, row: int, index: int) -> dict:
        video, stored = self.ids[position], self._videos[position]
        number = int(stored.numbers[row])
        keypoints = stored.keypoints[row].copy()
        low, high = keypoints.min(0), keypoints.max(0)
        box = np.concatenate([low, high])
        if self._boxes is not None:
            try:
                box = np.array(self._boxes[video][str(number)], np.float32).reshape(4)
            except (KeyError, ValueError) as error:
                raise ValueError(
                    f"{self.boxes_file}: no box [x1, y1, x2, y2] for frame {number} of "
                    f"video {video}; expected a json file {{video: {{frame: box}}}}"
                ) from error
        path, size = self._frame_path(position, number)
        visible = ((keypoints > -0.5) & (keypoints < np.array(size) - 0.5)).all(1)
        return dict(
            id=index,
            img_id=index,
            img_path=path,
            sample_key=f"{video}/{number:06d}",
            sequence_id=video,
            frame_number=number,
            category=CATEGORY_OF.get(video, ""),
            category_id=1,
            iscrowd=0,
            bbox=box[None].astype(np.float32),
            bbox_score=np.ones(1, np.float32),
            num_keypoints=int(visible.sum()),
            keypoints=keypoints[None],
            keypoints_visible=visible[None].astype(np.float32),
        )

    def _sources(self, folder: Path) -> list[Path]:
        raise NotImplementedError

    def _images(self, folder: Path) -> tuple[set[int], VideoFacts | None, str]:
        """Frame numbers there are, the video's facts and what holds them."""
        raise NotImplementedError

    def _frame_path(self, position: int, number: int) -> tuple[str, Sequence]:
        """A frame's ``img_path`` and its (width, height)."""
        raise NotImplementedError


@DATASETS.register_module()
class Face300VWVideoDataset(_Face300VW):
    """300-VW as downloaded: ``<id>/vid.avi`` and ``<id>/annot/000001.pts``, ...

    Frames are read from the videos, nothing needs to be extracted. Annotation
    ``000001.pts`` belongs to the first frame that the video decodes to. The first
    use decodes each video once, to count its frames and to try whether seeking is
    exact, and reads all ``.pts`` files; the index is kept in
    ``<data_root>/.semamb_mm_index`` (or the user's cache folder, where that cannot be
    written) until a file changes.

    Besides MMPose's fields each sample has ``sequence_id`` (the video's id),
    ``frame_number`` (from 1), ``category`` (``'train'``, ``'category1'``, ...) and
    ``sample_key``; ``PackPoseInputs(meta_keys=(..., 'sequence_id', 'frame_number',
    'category'))`` packs them. Landmarks outside the image are marked invisible.

    Shuffled reading is fastest with ``persistent_workers=True``: each worker keeps
    its decoders.

    Args:
        data_root (str): Folder of the videos' folders.
        split (str): ``'train'`` (50 videos), ``'category1'``, ``'category2'``,
            ``'category3'`` (31, 19, 14) or ``'test'`` (all 64).
        ids (Sequence[str], optional): Other videos than the split's.
        stride (int): Take frames 1, 1 + stride, ... Defaults to 1.
        leave_out_broken (bool, optional): Leave out the frames of the published
            list. Defaults to True for the test splits.
        boxes (str, optional): json file of detected boxes, ``{video: {frame: [x1,
            y1, x2, y2]}}``. Defaults to the landmarks' own box.
        origin (int): Coordinate of the first pixel's centre in the ``.pts`` files,
            see :mod:`~semamb_mm.pose.datasets.pts_io`. Defaults to 0.
        on_mismatch (str): What to do where frames lack a ``.pts`` file or the
            reverse, or the video is shorter than its header says: ``'error'``, or
            ``'skip'``: leave them out with a warning. Defaults to ``'error'``.
        max_open (int): Open videos a process. Defaults to 4.
        cache_dir (str, optional): Folder for the index.
        metainfo, indices, pipeline, test_mode, lazy_init, max_refetch: as in
            :class:`mmengine.dataset.BaseDataset`.
    """

    def __init__(self, data_root: str, *args, max_open: int = 4, **kwargs) -> None:
        self._pool = VideoPool(max_open)
        super().__init__(data_root, *args, **kwargs)

    def get_data_info(self, idx: int) -> dict:
        """The annotation of a frame, with the frame as ``img``."""
        info = super().get_data_info(idx)
        position = self.ids.index(info["sequence_id"])
        info["img"] = self._pool.read(
            str(self._video_file(info["sequence_id"])),
            info["frame_number"] - 1,
            self._videos[position].facts,
        )
        return info

    def _video_file(self, video: str) -> Path:
        return Path(self.data_root) / video / "vid.avi"

    def _sources(self, folder: Path) -> list[Path]:
        return [folder / "vid.avi", folder / "annot"]

    def _images(self, folder: Path) -> tuple[set[int], VideoFacts, str]:
        path = folder / "vid.avi"
        facts = scan_video(path)
        if facts.promised > facts.num_frames:
            text = (
                f"{path}: the header promises {facts.promised} frames, but only "
                f"{facts.num_frames} can be decoded; it may be cut short"
            )
            if self.on_mismatch == "error":
                raise VideoError(f"{text}. on_mismatch='skip' takes what there is")
            self._warn(text)
        if facts.variable_rate:
            self._warn(
                f"{path}: the frame rate varies; frames are numbered in the order of "
                "decoding, not by time"
            )
        if not facts.seekable:
            self._warn(
                f"{path}: seeking does not meet the right frame, so that frames are "
                "reached by decoding from the start; shuffled reading will be slow. "
                "Extract the frames and use Face300VWFrameDataset"
            )
        return set(range(1, facts.num_frames + 1)), facts, "vid.avi"

    def _frame_path(self, position: int, number: int) -> tuple[str, Sequence]:
        facts = self._videos[position].facts
        path = f"{self._video_file(self.ids[position])}#{number:06d}"
        return path, (facts.width, facts.height)


@DATASETS.register_module()
class Face300VWFrameDataset(_Face300VW):
    """300-VW's extracted frames: ``<id>/imgs/000001.jpg``, ``<id>/annot/000001.pts``.

    The layout of ``tools/dataset_converters/extract_300vw.py`` and of MMPose's own
    converter. Frames may be a part of the video's: only those that have been
    extracted are used. Arguments and samples are those of
    :class:`Face300VWVideoDataset`, without ``max_open``; images may be .jpg, .png or
    .bmp, all of a video of one size.
    """

    def _sources(self, folder: Path) -> list[Path]:
        return [folder / "imgs", folder / "annot"]

    def _images(self, folder: Path) -> tuple[set[int], None, str]:
        imgs = folder / "imgs"
        if not imgs.is_dir():
            raise FileNotFoundError(f"{folder}: no folder imgs/ with extracted frames")
        names = self._frames_in(folder)
        if not names:
            raise FileNotFoundError(
                f"{imgs} is empty; expected 000001.jpg, 000002.jpg, ..."
            )
        return set(names), None, "imgs/"

    def load_data_list(self) -> _Frames:
        frames = super().load_data_list()
        self._names = [self._frames_in(Path(self.data_root) / v) for v in self.ids]
        self._sizes: dict[int, tuple[int, int]] = {}
        return frames

    @staticmethod
    def _frames_in(folder: Path) -> dict[int, str]:
        return {
            int(path.stem): path.name
            for path in (folder / "imgs").iterdir()
            if path.suffix.lower() in IMAGE_SUFFIXES and path.stem.isdigit()
        }

    def _frame_path(self, position: int, number: int) -> tuple[str, Sequence]:
        folder = Path(self.data_root) / self.ids[position] / "imgs"
        path = folder / self._names[position][number]
        if position not in self._sizes:
            with Image.open(path) as image:
                self._sizes[position] = image.size
        return str(path), self._sizes[position]
