"""Procedural faces as an MMPose data set whose truth stays outside training."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import cv2
import numpy as np
from mmengine.dataset import BaseDataset, force_full_init
from mmpose.datasets.datasets.base import BaseCocoStyleDataset
from mmpose.registry import DATASETS

from semamb_mm.faces.landmarks import NUM_LANDMARKS
from semamb_mm.formats.files import atomic_folder
from semamb_mm.formats.pts import write_pts
from semamb_mm.synthetic.annotators import (
    AnnotationNoise,
    displace,
    get_noise,
)
from semamb_mm.synthetic.faces import render_face, true_keypoints


@DATASETS.register_module()
class SyntheticFaceDataset(BaseCocoStyleDataset):
    """Procedural 68-point faces, labelled by a procedural annotator.

    Needs no files: faces are drawn when they are read, always the same from the
    same ``seed``. With ``annotation='noisy'`` the pipeline sees only what the
    annotator marked (keypoints and bounding box); the truth is for measuring, by
    :meth:`true_keypoints`. Test and validation sets take ``annotation='truth'``
    and another seed than the training set.

    Each sample has ``img`` (H, W, 3) uint8 BGR, ``keypoints`` (1, 68, 2) float32 in
    image pixels, ``keypoints_visible`` (1, 68), ``bbox`` (1, 4) xyxy around the
    annotated landmarks, and ``sample_key``.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='SyntheticFaceDataset', num_samples=100, seed=1,
            pipeline=_base_.train_pipeline))
        ```

    Args:
        num_samples: number of faces.
        seed: which faces; sets of different seeds share none.
        image_size: side of the square images in pixels.
        noise: the annotator, by preset ('none', 'realistic', 'heavy', 'gross',
            'slips') or as a dict of :class:`AnnotationNoise` fields.
        annotation: 'noisy' or 'truth'.
        occlusion: share of faces that are partly hidden.
        cache_images: keep drawn images in memory (each worker its own).
        metainfo, indices, serialize_data, pipeline, test_mode, lazy_init,
            max_refetch: as in :class:`mmengine.dataset.BaseDataset`.
    """

    METAINFO: dict = dict(from_file="configs/_base_/datasets/300w.py")

    def __init__(
        self,
        num_samples: int,
        seed: int = 0,
        image_size: int = 160,
        noise: str | dict = "realistic",
        annotation: str = "noisy",
        occlusion: float = 0.2,
        cache_images: bool = False,
        metainfo: dict | None = None,
        indices: int | Sequence[int] | None = None,
        serialize_data: bool = True,
        pipeline: Sequence[dict | Callable] = (),
        test_mode: bool = False,
        lazy_init: bool = False,
        max_refetch: int = 1000,
    ) -> None:
        if num_samples < 1:
            raise ValueError(f"num_samples is {num_samples}; expected at least 1")
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected a whole number >= 0")
        if image_size < 32:
            raise ValueError(f"image_size is {image_size}; expected at least 32 pixels")
        if annotation not in ("noisy", "truth"):
            raise ValueError(
                f"annotation is {annotation!r}; expected 'noisy' or 'truth'"
            )
        if not 0 <= occlusion <= 1:
            raise ValueError(f"occlusion is {occlusion}; expected a share, 0 to 1")
        self.num_samples = num_samples
        self.seed = seed
        self.image_size = image_size
        truthful = annotation == "truth"
        self.noise = AnnotationNoise() if truthful else get_noise(noise)
        self.occlusion = occlusion
        self._images: dict[int, np.ndarray] | None = {} if cache_images else None
        super().__init__(
            metainfo=metainfo,
            indices=indices,
            serialize_data=serialize_data,
            pipeline=list(pipeline),
            test_mode=test_mode,
            lazy_init=lazy_init,
            max_refetch=max_refetch,
        )
        if self.metainfo["num_keypoints"] != NUM_LANDMARKS:
            raise ValueError(
                f"metainfo has {self.metainfo['num_keypoints']} keypoints; procedural "
                f"faces have {NUM_LANDMARKS}, in 300W's order"
            )

    def load_data_list(self) -> list[dict]:
        """Annotates all faces; their images are drawn when they are read."""
        return [self._annotate(index) for index in range(self.num_samples)]

    def _annotate(self, index: int) -> dict:
        truth = true_keypoints(self.seed, index, self.image_size)
        annotator = np.random.default_rng([self.seed, index, 2])
        keypoints = displace(truth, annotator, self.noise)
        bbox = np.concatenate([keypoints.min(0), keypoints.max(0)])
        key = f"synthetic/seed{self.seed}/{index:06d}"
        return dict(
            id=index,
            img_id=index,
            img_path=f"synthetic://seed{self.seed}/{index:06d}",
            sample_key=key,
            category_id=1,
            iscrowd=0,
            bbox=bbox[None],
            bbox_score=np.ones(1, np.float32),
            num_keypoints=NUM_LANDMARKS,
            keypoints=keypoints[None],
            keypoints_visible=np.ones((1, NUM_LANDMARKS), np.float32),
        )

    def get_data_info(self, idx: int) -> dict:
        """The annotation of a sample, with its image as ``img``."""
        data_info = super().get_data_info(idx)
        data_info["img"] = self._image(data_info["id"])
        return data_info

    def _image(self, index: int) -> np.ndarray:
        if self._images is None:
            return self._render(index).image
        if index not in self._images:
            self._images[index] = self._render(index).image
        return self._images[index].copy()

    def _render(self, index: int):
        return render_face(self.seed, index, self.image_size, self.occlusion)

    @force_full_init
    def _face_index(self, idx: int) -> int:
        return BaseDataset.get_data_info(self, idx)["id"]

    def true_keypoints(self, idx: int) -> np.ndarray:
        """True landmarks of a sample, (68, 2) float32 in image pixels."""
        return true_keypoints(self.seed, self._face_index(idx), self.image_size)

    def occluded(self, idx: int) -> np.ndarray:
        """Which landmarks of a sample an occluder hides, (68,) bool."""
        return self._render(self._face_index(idx)).occluded


def write_pts_tree(dataset: SyntheticFaceDataset, folder: str | os.PathLike) -> None:
    """Writes a data set as files: ``images/*.png`` and ``.pts``, ``truth/*.pts``.

    :class:`PtsFaceDataset` reads it with ``data_root=folder`` and
    ``data_prefix=dict(img='images')``. The folder appears whole or not at all.

    Args:
        dataset: what to write, annotations as they are.
        folder: must not exist yet.
    """
    with atomic_folder(folder) as unfinished:
        for part in ("images", "truth"):
            (unfinished / part).mkdir()
        for idx in range(len(dataset)):
            info = dataset.get_data_info(idx)
            name = f"{info['id']:06d}"
            image_path = unfinished / "images" / f"{name}.png"
            if not cv2.imwrite(str(image_path), info["img"]):
                raise OSError(f"could not write {image_path}")
            write_pts(unfinished / "images" / f"{name}.pts", info["keypoints"][0])
            write_pts(unfinished / "truth" / f"{name}.pts", dataset.true_keypoints(idx))
