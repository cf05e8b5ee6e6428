"""Folders of face images with ``.pts`` landmarks, such as 300W, for MMPose."""

from __future__ import annotations

import logging
import os.path as osp
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.dataset import BaseDataset, force_full_init
from mmengine.logging import print_log
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from semamb_mm.formats.images import IMAGE_SUFFIXES, BadImageError, check_image
from semamb_mm.formats.pts import PtsError
from semamb_mm.formats.pts_faces import (
    Face,
    FaceFiles,
    face_key,
    find_faces,
    list_faces,
    read_face,
)

_POLICIES = ("error", "skip")


@DATASETS.register_module()
class PtsFaceDataset(BaseCocoStyleDataset):
    """Face images, each with a ``.pts`` file of the same stem beside it.

    Takes every image below the folders ``data_root``/``data_prefix['img']``, in
    sorted order, or only those that list files name.

    The bounding box is that of the landmarks. A landmark outside the image keeps its
    coordinates and is marked invisible; one that lies farther outside than the
    face's own size makes the annotation bad.

    Besides MMPose's own fields each sample has ``sample_key``, its path below
    ``data_root`` without suffix.

    Example:
        300W's training set is three folders:

        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='PtsFaceDataset', data_root='data/300w',
            data_prefix=dict(img=['afw', 'helen/trainset', 'lfpw/trainset']),
            exclude=['*_mirror'], pipeline=_base_.train_pipeline))
        ```

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
        **kwargs: indices, serialize_data, pipeline, test_mode, lazy_init and
            max_refetch, as in :class:`mmengine.dataset.BaseDataset`.
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
        **kwargs,
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
            **kwargs,
        )

    def _join_prefix(self) -> None:
        """Put ``data_root`` before list files and folders, one or several each."""
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
        """Find all samples and read their annotations and image sizes."""
        num_keypoints = self.metainfo["num_keypoints"]
        data_list = []
        left_out = 0
        outside = [0, 0]  # landmarks, faces
        for sample in self._samples():
            try:
                face = read_face(sample, num_keypoints, self.origin)
            except (BadImageError, PtsError) as error:
                bad_image = isinstance(error, BadImageError)
                policy = self.on_bad_image if bad_image else self.on_bad_annotation
                if policy == "error":
                    option = "on_bad_image" if bad_image else "on_bad_annotation"
                    raise type(error)(
                        f"{error}. Fix or remove the file, or leave such samples "
                        f"out with {option}='skip'"
                    ) from error
                left_out += 1
                self._warn(f"sample left out ({left_out} so far): {error}")
                continue
            hidden = int((~face.visible).sum())
            outside[0] += hidden
            outside[1] += hidden > 0
            data_list.append(self._info(face, sample.stem, image_id=len(data_list)))
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

    def _samples(self) -> list[FaceFiles]:
        """Return the files of all samples, whether they can be used or not."""
        if not self.ann_file:
            return find_faces(self._folders(), self.exclude, self.data_root or "")
        lists = [self.ann_file] if isinstance(self.ann_file, str) else self.ann_file
        return list_faces(lists, self._folders())

    # one sample

    def _info(self, face: Face, stem: str, image_id: int) -> dict:
        """Return a face as MMPose's annotation of a sample."""
        box = np.concatenate([face.keypoints.min(0), face.keypoints.max(0)])
        return dict(
            id=image_id,
            img_id=image_id,
            img_path=face.image_path,
            sample_key=face_key(stem, self.data_root or ""),
            category_id=1,
            iscrowd=0,
            bbox=box[None],
            bbox_score=np.ones(1, np.float32),
            num_keypoints=int(face.visible.sum()),
            keypoints=face.keypoints[None],
            keypoints_visible=face.visible[None].astype(np.float32),
        )

    @force_full_init
    def prepare_data(self, idx: int) -> Any:
        """Run the pipeline, or return None for a bad image that is to be skipped."""
        image_path = BaseDataset.get_data_info(self, idx)["img_path"]
        if not self._is_sound(image_path):
            return None
        return super().prepare_data(idx)

    def _is_sound(self, image_path: str) -> bool:
        """Return whether an image can be read in full; each file is tried once."""
        if image_path not in self._sound:
            try:
                check_image(image_path)
            except BadImageError as error:
                if self.test_mode:
                    raise
                if self.on_bad_image == "error":
                    raise BadImageError(
                        f"{error}. Fix or remove the file, or have such images "
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
