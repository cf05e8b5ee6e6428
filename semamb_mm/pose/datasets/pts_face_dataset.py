"""Folders of face images with ``.pts`` landmarks, such as 300W, for MMPose."""

from __future__ import annotations

import logging
import os
import os.path as osp
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.logging import print_log
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from semamb_mm.formats.images import (
    IMAGE_SUFFIXES,
    BadImageError,
    check_image,
    image_size,
)
from semamb_mm.formats.pts import PtsError, read_pts

_POLICIES = ("error", "skip")


class _Sample(NamedTuple):
    stem: str  # path without suffix
    images: list[str]
    annotation: str | None
    source: str  # where the sample is named: its folder, or list file and line


@DATASETS.register_module()
class PtsFaceDataset(BaseCocoStyleDataset):
    """Face images, each with a ``.pts`` file of the same stem beside it.

    Takes every image below the folders ``data_root``/``data_prefix['img']``, in
    sorted order, or only those that list files name. 300W's training set is three
    such folders::

        dict(type='PtsFaceDataset', data_root='data/300w',
             data_prefix=dict(img=['afw', 'helen/trainset', 'lfpw/trainset']),
             exclude=['*_mirror'])

    The bounding box is that of the landmarks. A landmark outside the image keeps its
    coordinates and is marked invisible; one that lies farther outside than the
    face's own size makes the annotation bad.

    Besides MMPose's own fields each sample has ``sample_key``, its path below
    ``data_root`` without suffix.

    Args:
        data_root: root of the folders and list files.
        data_prefix: ``dict(img=folder)`` or ``dict(img=[folder, ...])``.
        ann_file: list file, or several: one sample a line, as a path below one of
            the folders, with or without suffix; empty lines and lines that start
            with '#' are passed over. Without it, all images are taken.
        exclude: shell patterns of sample keys that are not taken from the folders:
            some copies of 300W hold a mirrored ``*_mirror`` of each image.
        metainfo: layout of the landmarks; 300W's 68 by default.
        origin: coordinate of the first pixel's centre in the ``.pts`` files: 0, as
            MMPose's own 300W annotations, or 1, as Matlab's.
        on_bad_image: 'error', or 'skip': an image that is missing is left out, one
            that turns out to be cut short or unreadable in training is replaced by
            another sample, with one warning each. With ``test_mode`` an image that
            cannot be read in full is an error always.
        on_bad_annotation: 'error', or 'skip': samples whose ``.pts`` file is missing
            or wrong are left out, with a warning each.
        indices, serialize_data, pipeline, test_mode, lazy_init, max_refetch: as in
            :class:`mmengine.dataset.BaseDataset`.
    """

    METAINFO: dict = dict(from_file="configs/_base_/datasets/300w.py")

    def __init__(
        self,
        data_root: str | None = None,
        data_prefix: dict | None = None,
        ann_file: str | Sequence[str] = "",
        metainfo: dict | None = None,
        exclude: str | Sequence[str] = (),
        origin: int = 0,
        on_bad_image: str = "error",
        on_bad_annotation: str = "error",
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        for name, policy in (
            ("on_bad_image", on_bad_image),
            ("on_bad_annotation", on_bad_annotation),
        ):
            if policy not in _POLICIES:
                raise ValueError(f"{name} is {policy!r}; expected one of {_POLICIES}")
        self.exclude = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        self.origin = origin
        self.on_bad_image = on_bad_image
        self.on_bad_annotation = on_bad_annotation
        self._sound: dict[str, bool] = {}  # image files read once in full
        super().__init__(
            ann_file=ann_file,
            metainfo=metainfo,
            data_root=data_root,
            data_prefix=dict(img="") if data_prefix is None else dict(data_prefix),
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )

    def _join_prefix(self) -> None:
        """Puts ``data_root`` before list files and folders, one or several each."""
        root = self.data_root or "."
        if isinstance(self.ann_file, str):
            self.ann_file = self.ann_file and osp.join(root, self.ann_file)
        else:
            self.ann_file = [osp.join(root, name) for name in self.ann_file]
        folders = self.data_prefix["img"]
        if isinstance(folders, str):
            self.data_prefix["img"] = osp.join(root, folders)
        else:
            self.data_prefix["img"] = [osp.join(root, folder) for folder in folders]

    # what there is

    def load_data_list(self) -> list[dict]:
        """Finds all samples and reads their annotations and image sizes."""
        samples = self._listed() if self.ann_file else self._found()
        data_list = []
        left_out = 0
        outside = [0, 0]  # landmarks, faces
        for sample in samples:
            try:
                info = self._load_sample(sample, image_id=len(data_list))
            except (BadImageError, PtsError) as error:
                bad_image = isinstance(error, BadImageError)
                policy = self.on_bad_image if bad_image else self.on_bad_annotation
                if policy == "error":
                    option = "on_bad_image" if bad_image else "on_bad_annotation"
                    raise type(error)(
                        f"{error}. Mend or remove the file, or leave such samples "
                        f"out with {option}='skip'"
                    ) from error
                left_out += 1
                self._warn(f"sample left out ({left_out} so far): {error}")
                continue
            hidden = int((info["keypoints_visible"] == 0).sum())
            outside[0] += hidden
            outside[1] += hidden > 0
            data_list.append(info)
        if not data_list:
            where = self.ann_file or self._folders()
            raise ValueError(
                f"no usable samples in {where}: {left_out} left out. Expected images "
                f"{IMAGE_SUFFIXES}, each with a .pts file of the same stem"
            )
        if outside[0]:
            self._warn(
                f"{outside[0]} landmarks of {outside[1]} faces lie outside their "
                "image and are marked invisible"
            )
        return data_list

    def _folders(self) -> list[str]:
        folders = self.data_prefix["img"]
        return [folders] if isinstance(folders, str) else list(folders)

    def _found(self) -> list[_Sample]:
        """All samples below the folders, sorted by path."""
        samples: dict[str, _Sample] = {}
        for folder in self._folders():
            if not osp.isdir(folder):
                raise FileNotFoundError(
                    f"no folder {folder!r}; mend data_root or data_prefix['img']"
                )
            for parent, folders, names in os.walk(folder):
                folders[:] = sorted(f for f in folders if not f.startswith("."))
                for stem, images, annotation in _pair(parent, names):
                    if any(fnmatchcase(self._key(stem), p) for p in self.exclude):
                        continue
                    samples[osp.normpath(stem)] = _Sample(
                        stem, images, annotation, source=parent
                    )
        return [samples[stem] for stem in sorted(samples)]

    def _listed(self) -> list[_Sample]:
        """The samples that the list files name, in their order."""
        list_files = (
            [self.ann_file] if isinstance(self.ann_file, str) else self.ann_file
        )
        contents: dict[str, dict[str, tuple]] = {}  # folder -> stem -> files
        first_seen: dict[str, str] = {}
        samples = []
        for list_file in list_files:
            items = list(_read_list(list_file))
            if not items:
                raise ValueError(
                    f"{list_file}: an empty list; expected one sample a line, such as "
                    "'afw/134212_1'"
                )
            for number, item in items:
                source = f"{list_file}, line {number}"
                stem, images, annotation = self._look_up(item, source, contents)
                key = osp.normpath(stem)
                if key in first_seen:
                    raise ValueError(
                        f"{source}: {item!r} is already named by {first_seen[key]}"
                    )
                first_seen[key] = source
                samples.append(_Sample(stem, images, annotation, source))
        return samples

    def _look_up(self, item: str, source: str, contents: dict) -> tuple:
        """The files of a list item, as (stem path, image paths, .pts path)."""
        root, suffix = osp.splitext(item)
        if suffix.lower() in (*IMAGE_SUFFIXES, ".pts"):
            item = root
        candidates = [osp.join(folder, item) for folder in self._folders()]
        matches = []
        for stem in candidates:
            parent = osp.dirname(stem)
            if parent not in contents:
                names = os.listdir(parent) if osp.isdir(parent) else []
                contents[parent] = {entry[0]: entry for entry in _pair(parent, names)}
            if stem in contents[parent]:
                matches.append(contents[parent][stem])
        if len(matches) > 1:
            raise ValueError(
                f"{source}: {item!r} is in several folders: "
                f"{[match[0] for match in matches]}; name one of them in full"
            )
        return matches[0] if matches else (candidates[0], [], None)

    # one sample

    def _load_sample(self, sample: _Sample, image_id: int) -> dict:
        if len(sample.images) > 1:
            raise BadImageError(
                f"{sample.source}: {len(sample.images)} images share one stem and so "
                f"one .pts file: {[osp.basename(name) for name in sample.images]}"
            )
        if not sample.images:
            raise BadImageError(
                f"{sample.source}: no image {sample.stem}{{{','.join(IMAGE_SUFFIXES)}}}"
            )
        if sample.annotation is None:
            raise PtsError(f"{sample.source}: no annotation {sample.stem}.pts")
        image_path = sample.images[0]
        num_keypoints = self.metainfo["num_keypoints"]
        keypoints = read_pts(sample.annotation, num_keypoints, self.origin)
        size = np.array(image_size(image_path))
        low, high = keypoints.min(0), keypoints.max(0)
        extent = high - low
        if not (extent > 0).all():
            raise PtsError(
                f"{sample.annotation}: the landmarks span {extent[0]:g} x "
                f"{extent[1]:g} px; expected a face with some width and height"
            )
        beyond = np.maximum(-0.5 - keypoints, keypoints - (size - 0.5))
        # the extent of the landmarks inside, so that one stray one is judged by them
        usual = np.ptp(np.quantile(keypoints, (0.1, 0.9), axis=0), axis=0).max()
        absurd = np.flatnonzero((beyond > usual).any(1))
        if len(absurd):
            x, y = keypoints[absurd[0]]
            raise PtsError(
                f"{sample.annotation}: landmark {absurd[0]} (counted from 0) at "
                f"({x:g}, {y:g}) lies farther outside the {size[0]} x {size[1]} px "
                f"image {image_path} than the face is large; expected landmarks in "
                "or near the image"
            )
        visible = (beyond <= 0).all(1)
        if not visible.any():
            raise PtsError(
                f"{sample.annotation}: all landmarks lie outside the {size[0]} x "
                f"{size[1]} px image {image_path}"
            )
        return dict(
            id=image_id,
            img_id=image_id,
            img_path=image_path,
            sample_key=self._key(sample.stem),
            category_id=1,
            iscrowd=0,
            bbox=np.concatenate([low, high])[None],
            bbox_score=np.ones(1, np.float32),
            num_keypoints=int(visible.sum()),
            keypoints=keypoints[None],
            keypoints_visible=visible[None].astype(np.float32),
        )

    def _key(self, stem: str) -> str:
        return osp.relpath(stem, self.data_root or ".").replace(os.sep, "/")

    @force_full_init
    def prepare_data(self, idx: int) -> Any:
        """Runs the pipeline, or gives None for a bad image that is to be skipped."""
        image_path = BaseDataset.get_data_info(self, idx)["img_path"]
        if not self._is_sound(image_path):
            return None
        return super().prepare_data(idx)

    def _is_sound(self, image_path: str) -> bool:
        """Whether an image can be read in full; each file is tried once."""
        if image_path not in self._sound:
            try:
                check_image(image_path)
            except BadImageError as error:
                if self.test_mode:
                    raise
                if self.on_bad_image == "error":
                    raise BadImageError(
                        f"{error}. Mend or remove the file, or have such images "
                        "replaced in training with on_bad_image='skip'"
                    ) from error
                self._sound[image_path] = False
                bad = sum(not sound for sound in self._sound.values())
                self._warn(f"bad image skipped ({bad} so far): {error}")
            else:
                self._sound[image_path] = True
        return self._sound[image_path]

    def _warn(self, message: str) -> None:
        print_log(
            f"{type(self).__name__}: {message}",
            logger="current",
            level=logging.WARNING,
        )


def _pair(parent: str, names: Sequence[str]) -> Iterator[tuple]:
    """Groups a folder's files by stem: (stem path, image paths, .pts path or None)."""
    groups: dict[str, tuple[list[str], list[str]]] = {}
    for name in sorted(names):
        stem, suffix = osp.splitext(name)
        if name.startswith(".") or suffix.lower() not in (*IMAGE_SUFFIXES, ".pts"):
            continue
        images, annotations = groups.setdefault(stem, ([], []))
        kind = annotations if suffix.lower() == ".pts" else images
        kind.append(osp.join(parent, name))
    for stem, (images, annotations) in groups.items():
        annotation = annotations[0] if annotations else None
        yield osp.join(parent, stem), images, annotation


def _read_list(list_file: str) -> Iterator[tuple[int, str]]:
    """The items of a list file with their line numbers."""
    try:
        with open(list_file, encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, start=1):
                item = line.strip()
                if item and not item.startswith("#"):
                    yield number, item
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no list file {list_file!r}; mend ann_file (it is taken relative to "
            "data_root)"
        ) from None
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{list_file}: not a text file ({error.reason} at byte {error.start}); "
            "expected one sample a line"
        ) from error
