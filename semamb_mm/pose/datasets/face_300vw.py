"""300-VW: videos of one face each, 68 landmarks in every frame."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from mmengine.dataset import force_full_init
from mmengine.logging import print_log
from mmengine.utils import track_iter_progress
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS
from PIL import Image

from semamb_mm.faces.landmarks import NUM_LANDMARKS
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.images import IMAGE_SUFFIXES, BadImageError, check_image
from semamb_mm.formats.layout_300vw import (
    CATEGORY_OF,
    SPLITS,
    broken_frames,
)
from semamb_mm.formats.pts import PtsError, read_pts
from semamb_mm.formats.videos import VideoError, VideoFacts, VideoPool, scan_video

# What MMPose's data sets add to each sample.
METAINFO_KEYS = (
    "dataset_name",
    "upper_body_ids",
    "lower_body_ids",
    "flip_pairs",
    "dataset_keypoint_weights",
    "flip_indices",
    "skeleton_links",
)
# Videos that are read from the start without a word if need be.
FEW_FRAMES = 250
# Part of an index's fingerprint: raised when what it holds changes.
INDEX_VERSION = 5


@dataclass
class _Video:
    """A video's index.

    Attributes:
        numbers: ``(N,)`` int32 numbers of its ``.pts`` files, ascending.
        keypoints: ``(N, 1, 68, 2)`` float32, pixels; of one face, as MMPose has it.
        boxes: ``(N, 1, 4)`` float32, of the keypoints.
        visible: ``(N, 1, 68)`` float32, 1 where a keypoint is in the image.
        size: width and height of the frames, pixels.
        stamps: ``(N, 2)`` int64, size and time of change of the ``.pts`` files.
        names: ``(N,)`` str, files of the extracted frames; None for videos.
        facts: of the video file; None for extracted frames.
        notes: what the user is warned of.
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


def _pts_path(folder: str | os.PathLike, number: int) -> str:
    return f"{folder}/annot/{number:06d}.pts"


def _file_stamp(path: str) -> tuple[int, int]:
    stat = os.stat(path)
    return stat.st_size, stat.st_mtime_ns


def _box_and_visible(
    keypoints: np.ndarray, size: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """``(..., 4)`` boxes of ``(..., 68, 2)`` keypoints; ``(..., 68)``, 1 if inside."""
    boxes = np.concatenate([keypoints.min(-2), keypoints.max(-2)], -1)
    inside = (keypoints > -0.5) & (keypoints < np.subtract(size, 0.5))
    return boxes, inside.all(-1).astype(np.float32)


def _shown(numbers: set[int]) -> str:
    """A few of some frames' numbers."""
    first = ", ".join(f"{number:06d}" for number in sorted(numbers)[:5])
    return f"({first}{', ...' if len(numbers) > 5 else ''})"


def _unpaired(annotated: set[int], frames: set[int], where: str) -> list[str]:
    """Says which frames lack an annotation, and the reverse."""
    return [
        f"{len(numbers)} {text} {_shown(numbers)}"
        for numbers, text in (
            (frames - annotated, "frames without a .pts file in annot/"),
            (annotated - frames, f".pts files without a frame in {where}"),
        )
        if numbers
    ]


class _Frames(Sequence):
    """All samples' annotations, made when asked for: 300-VW has 218,000."""

    def __init__(self, describe: Callable, places: np.ndarray) -> None:
        self.describe, self.places = describe, places

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> dict:
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        video, row = self.places[index].tolist()
        return self.describe(video, row, index % len(self))

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
        on_bad_image: str = "error",
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
        for name, policy in (
            ("on_mismatch", on_mismatch),
            ("on_bad_image", on_bad_image),
        ):
            if policy not in ("error", "skip"):
                raise ValueError(f"{name} is {policy!r}; expected 'error' or 'skip'")
        self.split = split
        self.ids = tuple(SPLITS[split] if ids is None else map(str, ids))
        if not self.ids or len(set(self.ids)) < len(self.ids):
            raise ValueError(
                f"ids is {list(self.ids)}; expected videos such as '001', each once"
            )
        self.stride = stride
        self.leave_out_broken = (
            split != "train" if leave_out_broken is None else leave_out_broken
        )
        self.boxes_file = boxes
        self.origin = origin
        self.on_mismatch = on_mismatch
        self.on_bad_image = on_bad_image
        self._bad: set[tuple[int, int]] = set()  # video's position, row
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
        videos = {video: self._cached(video) for video in self.ids}
        stale = [video for video in self.ids if videos[video] is None]
        if stale:
            print_log(
                f"{type(self).__name__}: indexing {len(stale)} videos of {root}, once",
                logger="current",
            )
            for video in track_iter_progress(stale):
                videos[video] = self._build(video)
        self._videos = [videos[video] for video in self.ids]
        for note in sum((index.notes for index in self._videos), []):
            self._warn(note)
        places = []
        for position, (video, index) in enumerate(videos.items()):
            rows = np.arange(len(index.numbers))
            if self.leave_out_broken and video in broken_frames():
                rows = rows[~np.isin(index.numbers, list(broken_frames()[video]))]
            rows = rows[(index.numbers[rows] - 1) % self.stride == 0]
            places.append(np.stack([np.full(len(rows), position), rows], 1))
        places = np.concatenate(places)
        self._boxes = None if self.boxes_file is None else self._load_boxes(places)
        return _Frames(self._describe, places)

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """The annotation of a frame, with what MMPose's transforms need."""
        # Made anew each time, so that there is nothing to copy.
        info = self.data_list[idx]
        info["sample_idx"] = idx if idx >= 0 else len(self) + idx
        for key in METAINFO_KEYS:
            info[key] = self._metainfo[key]
        return info

    @force_full_init
    def prepare_data(self, idx: int) -> Any:
        """Runs the pipeline, or gives None for a bad image that is to be skipped."""
        place = tuple(self.data_list.places[idx].tolist())
        if place in self._bad:
            return None
        try:
            self._check_image(*place)
            return super().prepare_data(idx)
        except (BadImageError, VideoError) as error:
            if self.test_mode:
                raise
            if self.on_bad_image == "error":
                raise type(error)(
                    f"{error}. Mend the file, or have such images replaced in "
                    "training with on_bad_image='skip'"
                ) from error
            self._bad.add(place)
            self._warn(f"bad image skipped ({len(self._bad)} so far): {error}")
            return None

    def _check_image(self, position: int, row: int) -> None:
        """Raises BadImageError if an image file cannot be read in full."""

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
        """Changes with the video, and when files come, go or are replaced.

        A ``.pts`` file that is written to in place changes no folder: each is looked
        at when it is used, see :meth:`_annotation`. To do that here would take more
        than a second for 300-VW's 218,000, and minutes over a network.
        """
        parts = [INDEX_VERSION, self.origin, self.on_mismatch]
        for path in self._sources(Path(self.data_root) / video):
            if path.is_file():
                parts += [path.stat().st_size, path.stat().st_mtime_ns]
            elif path.is_dir():
                parts += [len(os.listdir(path)), path.stat().st_mtime_ns]
        return " ".join(map(str, parts))

    def _cached(self, video: str) -> _Video | None:
        path = self._cache_file(video)
        try:
            with np.load(path, allow_pickle=False) as stored:
                if str(stored["fingerprint"]) != self._fingerprint(video):
                    return None
                facts = json.loads(str(stored["facts"]))
                names = stored["names"]
                return _Video(
                    stored["numbers"],
                    stored["keypoints"],
                    stored["boxes"],
                    stored["visible"],
                    tuple(stored["size"].tolist()),
                    stored["stamps"],
                    names if names.size else None,
                    facts and VideoFacts(**facts, keys=stored["keys"]),
                    json.loads(str(stored["notes"])),
                )
        except (OSError, ValueError, KeyError, TypeError, BadZipFile):
            return None  # absent or not ours: built anew

    def _build(self, video: str) -> _Video:
        fingerprint = self._fingerprint(video)
        folder = Path(self.data_root) / video
        annotated = self._annotated(folder)
        usable, size, names, facts, notes = self._images(video, set(annotated))
        numbers = [number for number in annotated if number in usable]
        keypoints = np.empty((len(numbers), 1, NUM_LANDMARKS, 2), np.float32)
        stamps = np.empty((len(numbers), 2), np.int64)
        for row, number in enumerate(numbers):
            path = _pts_path(folder, number)
            stamps[row] = _file_stamp(path)
            keypoints[row, 0] = read_pts(path, NUM_LANDMARKS, self.origin)
        index = _Video(
            np.array(numbers, np.int32),
            keypoints,
            *_box_and_visible(keypoints, size),
            size,
            stamps,
            names and np.array([names[number] for number in numbers]),
            facts,
            notes,
        )
        self._store(video, index, fingerprint)
        return index

    def _store(self, video: str, index: _Video, fingerprint: str) -> None:
        facts = {} if index.facts is None else asdict(index.facts)
        keys = facts.pop("keys", ())
        path = self._cache_file(video)
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
                    notes=json.dumps(index.notes),
                )
        except OSError as error:
            raise OSError(
                f"{path}: the index cannot be written ({error}); name a folder that "
                "can be with cache_dir"
            ) from error

    def _annotated(self, folder: Path) -> list[int]:
        """Numbers of a video's ``.pts`` files, ascending."""
        annot = folder / "annot"
        if not annot.is_dir():
            raise PtsError(f"{folder}: no folder annot/ with .pts files")
        numbers = []
        for name in os.listdir(annot):
            stem, suffix = os.path.splitext(name)
            if suffix == ".pts" and not name.startswith("."):
                if not stem.isdigit() or len(stem) != 6 or not int(stem):
                    raise PtsError(
                        f"{annot / name}: expected names like 000001.pts, numbered "
                        "from 1"
                    )
                numbers.append(int(stem))
        if not numbers:
            raise PtsError(f"{annot} is empty; expected 000001.pts, 000002.pts, ...")
        return sorted(numbers)

    def _images(
        self, video: str, annotated: set[int]
    ) -> tuple[
        set[int], tuple[int, int], dict[int, str] | None, VideoFacts | None, list[str]
    ]:
        """Frames that may be used: numbers, size, files, facts of the video, notes.

        Raises where they do not match the annotations, or notes it.
        """
        raise NotImplementedError

    def _note(
        self, video: str, complaints: list[str], usable: set[int], error: type
    ) -> str:
        """Raise what is wrong, or say how many frames are used all the same."""
        text = f"video {video}: {' and '.join(complaints)}"
        if not usable:
            raise error(f"{text}. No frame can be used; mend the video's folder")
        if self.on_mismatch == "error":
            raise error(
                f"{text}. Expected one .pts file for each frame, numbered from 1; "
                f"on_mismatch='skip' takes the {len(usable)} frames that are beyond "
                "doubt"
            )
        return f"{text}; {len(usable)} frames are used"

    def _load_boxes(self, places: np.ndarray) -> list[np.ndarray]:
        """For each video, ``(N, 4)`` float32 detected boxes; all places have one."""
        path = self.boxes_file
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
        boxes = [
            np.full((len(index.numbers), 4), np.nan, np.float32)
            for index in self._videos
        ]
        for position, row in places.tolist():
            video = self.ids[position]
            number = str(self._videos[position].numbers[row])
            try:
                boxes[position][row] = np.reshape(stored[video][number], 4)
            except (KeyError, TypeError, ValueError) as error:
                raise ValueError(
                    f"{path}: no box [x1, y1, x2, y2] for frame {number} of "
                    f"video {video}; expected a json file {{video: {{frame: box}}}}"
                ) from error
        return boxes

    def _warn(self, message: str) -> None:
        print_log(
            f"{type(self).__name__}: {message}", logger="current", level=logging.WARNING
        )

    # one sample

    def _annotation(
        self, position: int, row: int, number: int
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Keypoints, box and visibility; anew if the file is not the indexed one."""
        stored = self._videos[position]
        path = _pts_path(f"{self.data_root}/{self.ids[position]}", number)
        if _file_stamp(path) == tuple(stored.stamps[row].tolist()):
            indexed = (stored.keypoints, stored.boxes, stored.visible)
            return tuple(array[row].copy() for array in indexed)
        keypoints = read_pts(path, NUM_LANDMARKS, self.origin)[None]
        return keypoints, *_box_and_visible(keypoints, stored.size)

    def _describe(self, position: int, row: int, index: int) -> dict:
        # What can be computed beforehand is in the index: MJPEG frames take hardly
        # longer to decode than this took.
        video = self.ids[position]
        number = self._videos[position].numbers[row].item()
        keypoints, box, visible = self._annotation(position, row, number)
        if self._boxes is not None:
            box = self._boxes[position][row][None].copy()
        return dict(
            id=index,
            img_id=index,
            img_path=self._frame_path(position, row, number),
            sample_key=f"{video}/{number:06d}",
            sequence_id=video,
            frame_number=number,
            category=CATEGORY_OF.get(video, ""),
            category_id=1,
            iscrowd=0,
            bbox=box,
            bbox_score=np.ones(1, np.float32),
            num_keypoints=int(np.count_nonzero(visible)),
            keypoints=keypoints,
            keypoints_visible=visible,
        )

    def _sources(self, folder: Path) -> list[Path]:
        raise NotImplementedError

    def _frame_path(self, position: int, row: int, number: int) -> str:
        raise NotImplementedError


@DATASETS.register_module()
class Face300VWVideoDataset(_Face300VW):
    """300-VW as downloaded: ``<id>/vid.avi`` and ``<id>/annot/000001.pts``, ...

    Frames are read from the videos, nothing needs to be extracted. Annotation
    ``000001.pts`` belongs to the first frame that the video decodes to. The first
    use decodes each video once, to count its frames and to try whether seeking is
    exact, and reads all ``.pts`` files; the index is kept in
    ``<data_root>/.semamb_mm_index`` (or the user's cache folder, where that cannot be
    written). A video is indexed anew when it changes or ``.pts`` files come, go or are
    replaced; one that is edited in place is read anew whenever it is used. Videos need
    PyAV, ``pip install av``.

    Besides MMPose's fields each sample has ``sequence_id`` (the video's id),
    ``frame_number`` (from 1), ``category`` (``'train'``, ``'category1'``, ...) and
    ``sample_key``; ``PackPoseInputs(meta_keys=(..., 'sequence_id', 'frame_number',
    'category'))`` packs them. Landmarks outside the image are marked invisible.

    For shuffled reading see
    :class:`~semamb_mm.pose.datasets.VideoShuffleSampler`; with
    ``persistent_workers=True`` each worker keeps its decoders.

    Args:
        data_root (str): Folder of the videos' folders.
        split (str): ``'train'`` (50 videos), ``'category1'``, ``'category2'``,
            ``'category3'`` (31, 19, 14) or ``'test'`` (all 64).
        ids (Sequence[str], optional): Other videos than the split's; ``split`` then
            only says whether broken frames are left out.
        stride (int): Take frames 1, 1 + stride, ... Defaults to 1.
        leave_out_broken (bool, optional): Leave out the frames of the published
            list. Defaults to True for the test splits.
        boxes (str, optional): json file of detected boxes, ``{video: {frame: [x1,
            y1, x2, y2]}}``. Defaults to the landmarks' own box.
        origin (int): Coordinate of the first pixel's centre in the ``.pts`` files,
            see :mod:`~semamb_mm.formats.pts`. Defaults to 0.
        on_mismatch (str): What to do where frames lack a ``.pts`` file or the
            reverse, or the video is cut short or damaged: ``'error'``, or ``'skip'``:
            take the frames whose number is beyond doubt, with a warning a video. Those
            are all that have an annotation, or, if the video lost frames, those before
            the first loss. Defaults to ``'error'``.
        on_bad_image (str): ``'error'``, or ``'skip'``: a frame that cannot be read any
            more in training is replaced by another sample, with one warning each. With
            ``test_mode`` it is an error always. Defaults to ``'error'``.
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
        info["img"] = self.read_frame(idx)
        return info

    @force_full_init
    def read_frame(self, idx: int) -> np.ndarray:
        """The frame of a sample, ``(H, W, 3)`` uint8, BGR, without its annotation."""
        position, row = self.data_list.places[idx].tolist()
        video = self._videos[position]
        path = self._video_file(self.ids[position])
        return self._pool.read(path, video.numbers[row].item() - 1, video.facts)

    @property
    def max_open(self) -> int:
        """Open videos a process."""
        return self._pool.max_open

    @force_full_init
    def stretches(self) -> list[tuple[int, np.ndarray]]:
        """The samples between one key frame and the next, in order of the frames.

        A video's position in ``ids`` with ``(N,)`` int64 indices of samples, N > 0;
        together all samples. Each is best read in order, by one process.
        """
        places = self.data_list.places
        found = []
        for position, video in enumerate(self._videos):
            samples = np.flatnonzero(places[:, 0] == position)
            samples = samples[np.argsort(places[samples, 1], kind="stable")]
            frames = video.numbers[places[samples, 1]] - 1
            key = np.searchsorted(video.facts.keys[:, 0], frames, side="right")
            cuts = np.flatnonzero(np.diff(key)) + 1
            found += [(position, part) for part in np.split(samples, cuts) if len(part)]
        return found

    def _video_file(self, video: str) -> str:
        return f"{self.data_root}/{video}/vid.avi"

    def _sources(self, folder: Path) -> list[Path]:
        return [folder / "vid.avi", folder / "annot"]

    def _images(
        self, video: str, annotated: set[int]
    ) -> tuple[set[int], tuple[int, int], None, VideoFacts, list[str]]:
        path = self._video_file(video)
        facts = scan_video(path)
        usable, notes = self._paired(video, annotated, facts)
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
        return usable, (facts.width, facts.height), None, facts, notes

    def _paired(
        self, video: str, annotated: set[int], facts: VideoFacts
    ) -> tuple[set[int], list[str]]:
        """Frames that may be used, and a note where something is missing."""
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
        return usable, [self._note(video, complaints, usable, error)]

    def _frame_path(self, position: int, row: int, number: int) -> str:
        return f"{self._video_file(self.ids[position])}#{number:06d}"


@DATASETS.register_module()
class Face300VWFrameDataset(_Face300VW):
    """300-VW's extracted frames: ``<id>/imgs/000001.jpg``, ``<id>/annot/000001.pts``.

    The layout of ``tools/dataset_converters/extract_300vw.py`` and of MMPose's own
    converter. Where only a part of the frames has been extracted,
    ``on_mismatch='skip'`` takes those. Arguments and samples are those of
    :class:`Face300VWVideoDataset`, without ``max_open``; images may be .jpg, .png or
    .bmp, all of a video of one size.
    """

    def __init__(self, data_root: str, *args, **kwargs) -> None:
        self._whole: set[tuple[int, int]] = set()  # images read once in full
        super().__init__(data_root, *args, **kwargs)

    def _sources(self, folder: Path) -> list[Path]:
        return [folder / "imgs", folder / "annot"]

    def _images(
        self, video: str, annotated: set[int]
    ) -> tuple[set[int], tuple[int, int], dict[int, str], None, list[str]]:
        imgs = Path(self.data_root) / video / "imgs"
        if not imgs.is_dir():
            raise FileNotFoundError(
                f"{imgs.parent}: no folder imgs/ with extracted frames"
            )
        names = {}
        for name in sorted(os.listdir(imgs)):
            stem, suffix = os.path.splitext(name)
            if suffix.lower() in IMAGE_SUFFIXES and stem.isdigit():
                names[int(stem)] = name
        if not names:
            raise FileNotFoundError(
                f"{imgs} is empty; expected 000001.jpg, 000002.jpg, ..."
            )
        usable = annotated & set(names)
        complaints = _unpaired(annotated, set(names), "imgs/")
        notes = []
        if complaints:
            notes.append(self._note(video, complaints, usable, PtsError))
        size = self._first_size([imgs / names[number] for number in sorted(usable)])
        return usable, size, names, None, notes

    @staticmethod
    def _first_size(paths: list[Path]) -> tuple[int, int]:
        """Width and height of the first image that has any."""
        for path in paths:
            try:
                with Image.open(path) as image:
                    return image.size
            except (OSError, SyntaxError):
                continue  # named when it is read
        raise BadImageError(f"{paths[0].parent}: no readable image")

    def _frame_path(self, position: int, row: int, number: int) -> str:
        name = str(self._videos[position].names[row])
        return os.path.join(self.data_root, self.ids[position], "imgs", name)

    def _check_image(self, position: int, row: int) -> None:
        if (position, row) not in self._whole:
            number = self._videos[position].numbers[row].item()
            check_image(self._frame_path(position, row, number))
            self._whole.add((position, row))
