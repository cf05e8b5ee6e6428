"""300-VW: videos of one face each, 68 landmarks in every frame."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from mmengine.dataset import force_full_init
from mmengine.logging import print_log
from mmengine.utils import track_iter_progress
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from semamb_mm.formats.images import BadImageError, check_image
from semamb_mm.formats.index_300vw import (
    FRAMES,
    VIDEO,
    Layout,
    VideoIndex,
    build_index,
    fingerprint,
    index_folder,
    load_index,
    pts_path,
    store_index,
)
from semamb_mm.formats.layout_300vw import CATEGORY_OF, SPLITS, broken_frames
from semamb_mm.formats.videos import VideoError, VideoPool

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
    layout: ClassVar[Layout]

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
        **kwargs,
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
            serialize_data=False,
            **kwargs,
        )

    # the index

    def load_data_list(self) -> _Frames:
        """Read the index, building what is missing of it."""
        self._check_folders()
        videos = {video: self._cached(video) for video in self.ids}
        stale = [video for video in self.ids if videos[video] is None]
        if stale:
            print_log(
                f"{type(self).__name__}: indexing {len(stale)} videos of "
                f"{Path(self.data_root)}, once",
                logger="current",
            )
            for video in track_iter_progress(stale):
                videos[video] = self._build(video)
        self._videos: list[VideoIndex] = [videos[video] for video in self.ids]
        for note in sum((index.notes for index in self._videos), []):
            self._warn(note)
        places = np.concatenate([self._places(i) for i in range(len(self.ids))])
        self._boxes = None if self.boxes_file is None else self._load_boxes(places)
        return _Frames(self._describe, places)

    def _check_folders(self) -> None:
        """See that there is a folder for each video."""
        root = Path(self.data_root)
        if not root.is_dir():
            raise FileNotFoundError(f"no folder {str(root)!r}; fix data_root")
        missing = [video for video in self.ids if not (root / video).is_dir()]
        if missing:
            raise FileNotFoundError(
                f"{root}: {len(missing)} of the {len(self.ids)} videos of split "
                f"{self.split!r} are missing: {', '.join(missing[:10])}"
                f"{', ...' if len(missing) > 10 else ''}. Expected a folder for each; "
                "ids=[...] takes fewer"
            )

    def _places(self, position: int) -> np.ndarray:
        """Return ``(N, 2)``, the video's position and the row of each frame taken."""
        video, index = self.ids[position], self._videos[position]
        rows = np.arange(len(index.numbers))
        if self.leave_out_broken and video in broken_frames():
            rows = rows[~np.isin(index.numbers, list(broken_frames()[video]))]
        rows = rows[(index.numbers[rows] - 1) % self.stride == 0]
        return np.stack([np.full(len(rows), position), rows], 1)

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Return the annotation of a frame, with what MMPose's transforms need."""
        # Made anew each time, so that there is nothing to copy.
        info = self.data_list[idx]
        info["sample_idx"] = idx if idx >= 0 else len(self) + idx
        for key in METAINFO_KEYS:
            info[key] = self._metainfo[key]
        return info

    @force_full_init
    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline, or return None for a bad image that is to be skipped."""
        place = tuple(self.data_list.places[idx].tolist())
        if place in self._bad:
            return None
        try:
            image = self._open_image(*place)
            # As MMPose's, which would give no image.
            return self.pipeline({**self.get_data_info(idx), **image, "dataset": self})
        except (BadImageError, VideoError) as error:
            if self.test_mode:
                raise
            if self.on_bad_image == "error":
                raise type(error)(
                    f"{error}. Fix the file, or have such images replaced in "
                    "training with on_bad_image='skip'"
                ) from error
            self._bad.add(place)
            self._warn(f"bad image skipped ({len(self._bad)} so far): {error}")
            return None

    def _open_image(self, position: int, row: int) -> dict:
        """Return ``img`` of a frame that is no file of its own; nothing otherwise.

        Raises:
            BadImageError: If an image file cannot be read in full.
            VideoError: If a frame cannot be decoded.
        """
        raise NotImplementedError

    def filter_data(self) -> _Frames:
        """Return all frames: which are taken is known from the index."""
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
        folder = index_folder(self.data_root, self.cache_dir)
        return folder / f"{type(self).__name__}-{video}.npz"

    def _source(self, video: str) -> tuple[Path, Layout, int, str]:
        """Return all that a video's index depends on."""
        folder = Path(self.data_root) / video
        return folder, self.layout, self.origin, self.on_mismatch

    def _cached(self, video: str) -> VideoIndex | None:
        return load_index(self._cache_file(video), fingerprint(*self._source(video)))

    def _build(self, video: str) -> VideoIndex:
        # Taken before: what changes meanwhile makes the index stale.
        before = fingerprint(*self._source(video))
        index = build_index(*self._source(video))
        store_index(self._cache_file(video), index, before)
        return index

    def _load_boxes(self, places: np.ndarray) -> list[np.ndarray]:
        """Return ``(N, 4)`` float32 boxes for each video; all places have one."""
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

    def _describe(self, position: int, row: int, index: int) -> dict:
        # What can be computed beforehand is in the index: MJPEG frames take hardly
        # longer to decode than this took.
        video = self.ids[position]
        number = self._videos[position].numbers[row].item()
        path = pts_path(f"{self.data_root}/{video}", number)
        annotation = self._videos[position].annotation(row, path, self.origin)
        keypoints, box, visible = annotation
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

    ``get_data_info`` decodes nothing: ``img`` is in the samples that the pipeline gets,
    and :meth:`read_frame` gives a frame alone.

    Besides MMPose's fields each sample has ``sequence_id`` (the video's id),
    ``frame_number`` (from 1), ``category`` (``'train'``, ``'category1'``, ...) and
    ``sample_key``; ``PackPoseInputs(meta_keys=(..., 'sequence_id', 'frame_number',
    'category'))`` packs them. Landmarks outside the image are marked invisible.

    For shuffled reading see
    :class:`~semamb_mm.pose.datasets.VideoShuffleSampler`; with
    ``persistent_workers=True`` each worker keeps its decoders.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='Face300VWVideoDataset', data_root='data/300vw',
            pipeline=_base_.train_pipeline))
        ```

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

    layout = VIDEO

    def __init__(self, data_root: str, *args, max_open: int = 4, **kwargs) -> None:
        self._pool = VideoPool(max_open)
        self._wanted: list[np.ndarray] | None = None
        super().__init__(data_root, *args, **kwargs)

    @force_full_init
    def read_frame(self, idx: int) -> np.ndarray:
        """Return a sample's frame alone, ``(H, W, 3)`` uint8, BGR."""
        return self._open_image(*self.data_list.places[idx].tolist())["img"]

    def _open_image(self, position: int, row: int) -> dict:
        video = self._videos[position]
        path = self._video_file(self.ids[position])
        number = video.numbers[row].item() - 1
        wanted = self._wanted_frames()[position]
        return dict(img=self._pool.read(path, number, video.facts, wanted))

    def _wanted_frames(self) -> list[np.ndarray]:
        """Return the numbers, from 0, of each video's frames that are samples."""
        if self._wanted is None:
            places = self.data_list.places
            self._wanted = [
                video.numbers[places[places[:, 0] == position, 1]] - 1
                for position, video in enumerate(self._videos)
            ]
        return self._wanted

    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep some samples: the first so many, or those listed."""
        super().get_subset_(indices)
        self._wanted = None

    @property
    def max_open(self) -> int:
        """Open videos a process."""
        return self._pool.max_open

    @force_full_init
    def stretches(self) -> list[tuple[int, np.ndarray]]:
        """Return the samples between one key frame and the next, in the frames' order.

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

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='Face300VWFrameDataset', data_root='data/300vw',
            pipeline=_base_.train_pipeline))
        ```
    """

    layout = FRAMES

    def __init__(self, data_root: str, *args, **kwargs) -> None:
        self._whole: set[tuple[int, int]] = set()  # images read once in full
        super().__init__(data_root, *args, **kwargs)

    def _frame_path(self, position: int, row: int, number: int) -> str:
        name = str(self._videos[position].names[row])
        return os.path.join(self.data_root, self.ids[position], "imgs", name)

    def _open_image(self, position: int, row: int) -> dict:
        if (position, row) not in self._whole:
            number = self._videos[position].numbers[row].item()
            check_image(self._frame_path(position, row, number))
            self._whole.add((position, row))
        return {}
