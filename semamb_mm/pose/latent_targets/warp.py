"""From image pixels to the network's input and back, as one affine map."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from mmpose.structures import PoseDataSample
from mmpose.structures.bbox import get_udp_warp_matrix, get_warp_matrix

# What ``PackPoseInputs`` must pack; a flip is only there where images are flipped.
META_KEYS = (
    "input_center",
    "input_scale",
    "input_size",
    "img_shape",
    "flip",
    "flip_direction",
    "flip_indices",
)


@dataclass(frozen=True)
class InputWarp:
    """``input = matrix @ [image[order], 1]``, for one augmented sample.

    Attributes:
        matrix: ``(2, 3)`` float64, original image pixels to input pixels,
            a flip included.
        order: ``(K,)`` landmark ``order[k]`` of the annotation is landmark
            ``k`` of the input (left and right swap under a flip).
    """

    matrix: np.ndarray
    order: np.ndarray

    def to_input(self, image_points: np.ndarray) -> np.ndarray:
        """Return ``(K, 2)`` input pixels of ``(K, 2)`` image pixels."""
        points = np.asarray(image_points, dtype=np.float64)[self.order]
        return points @ self.matrix[:, :2].T + self.matrix[:, 2]

    def to_image(self, input_points: np.ndarray) -> np.ndarray:
        """Return image pixels; the exact inverse of :meth:`to_input`."""
        shifted = np.asarray(input_points, dtype=np.float64) - self.matrix[:, 2]
        points = np.empty_like(shifted)
        (a, b), (c, d) = self.matrix[:, :2].tolist()
        adjugate = np.array(((d, -c), (-b, a)))  # transposed; solve() takes longer
        points[self.order] = shifted @ adjugate / (a * d - b * c)
        return points


def input_warp(data_sample: PoseDataSample, *, use_udp: bool = False) -> InputWarp:
    """Rebuild the warp that MMPose's transforms applied to a sample.

    Covers ``RandomFlip`` (any direction), the box transforms
    (``GetBBoxCenterScale``, ``RandomBBoxTransform``, ``RandomHalfBody``, ...)
    and ``TopdownAffine``; :func:`check_warp` finds out whether anything else
    moved the landmarks.

    Args:
        data_sample: As packed after :class:`LoadLatentTargets`, whose fields
            ``annotated_keypoints`` and ``bbox_rotation`` are read.
        use_udp: Whether ``TopdownAffine`` ran with ``use_udp=True``.

    Raises:
        KeyError: If what leads back to the image has not been packed.
    """
    meta = data_sample.metainfo
    missing = [key for key in META_KEYS[:3] if key not in meta]
    if missing:
        raise KeyError(
            f"the samples lack {missing}, which latent targets need: add them to "
            "dict(type='PackPoseInputs', meta_keys=...)"
        )
    instances = data_sample.gt_instances
    num_keypoints = instances.annotated_keypoints.shape[1]
    rotation = float(np.asarray(instances.get("bbox_rotation", 0.0)).reshape(-1)[0])
    build = get_udp_warp_matrix if use_udp else get_warp_matrix
    matrix = build(
        np.asarray(meta["input_center"]),
        np.asarray(meta["input_scale"]),
        rotation,
        output_size=tuple(meta["input_size"]),
    ).astype(np.float64)
    direction = meta.get("flip_direction") if meta.get("flip") else None
    if direction:
        height, width = meta["img_shape"][:2]
        flip = np.eye(3)
        if direction in ("horizontal", "diagonal"):
            flip[0] = (-1, 0, width - 1)
        if direction in ("vertical", "diagonal"):
            flip[1] = (0, -1, height - 1)
        matrix = matrix @ flip
    return InputWarp(matrix, landmark_order(meta, num_keypoints))


def landmark_order(meta: Mapping, num_keypoints: int) -> np.ndarray:
    """Return which landmark of the annotation each of the input is, ``(K,)``.

    Args:
        meta: Of a sample, as ``PackPoseInputs`` packs it.
        num_keypoints: ``K``.
    """
    direction = meta.get("flip_direction") if meta.get("flip") else None
    if direction in (None, "diagonal"):  # MMPose swaps no pairs in the latter
        return np.arange(num_keypoints)
    return np.asarray(meta["flip_indices"])


def check_warp(
    warp: InputWarp, data_sample: PoseDataSample, tolerance: float = 0.05
) -> None:
    """Compare the rebuilt warp with where the pipeline put the landmarks.

    Args:
        warp: What :func:`input_warp` gave for this sample.
        data_sample: The sample; fields ``latent_keypoints`` (image pixels,
            before the transforms) and ``transformed_keypoints`` are read.
        tolerance: Allowed difference in input pixels.

    Raises:
        RuntimeError: If they differ, naming the sample.
    """
    instances = data_sample.gt_instances
    expected = warp.to_input(instances.latent_keypoints[0])
    visible = np.asarray(instances.keypoints_visible[0]) > 0
    difference = np.abs(expected - instances.transformed_keypoints[0, :, :2])
    difference = difference[visible]
    if difference.size and not difference.max() <= tolerance:
        raise RuntimeError(
            f"sample {data_sample.metainfo.get('img_path')!r}: its landmarks were "
            f"moved by {difference.max():.3g} input pixels beyond flip and "
            "TopdownAffine, so latent targets cannot be brought back to the image. "
            "Semantic alignment supports RandomFlip, MMPose's box transforms and "
            "TopdownAffine; remove other geometric transforms from the train "
            "pipeline, or place them before LoadLatentTargets only if they do not "
            "move landmarks."
        )
