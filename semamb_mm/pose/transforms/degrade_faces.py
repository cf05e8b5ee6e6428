"""Occlusion and low quality, to train with and to measure under."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from mmpose.datasets.transforms import PackPoseInputs
from mmpose.registry import TRANSFORMS

from semamb_mm.faces.sizes import face_size, longest_side
from semamb_mm.pose.latent_targets.keys import sample_key


class _DegradeFace(BaseTransform):
    """A transform of a face's image that draws its own random numbers."""

    def __init__(self, prob: float = 0.5, seed: int | None = None) -> None:
        super().__init__()
        if not 0 <= prob <= 1:
            raise ValueError(f"{type(self).__name__}: prob is {prob}; expected 0 to 1")
        self.prob = prob
        self.seed = seed

    def transform(self, results: dict) -> dict:
        """Degrade ``img`` with the transform's probability.

        Raises:
            ValueError: If the sample holds no visible landmark, naming it.
        """
        if self.seed is None:
            rng = np.random.default_rng(np.random.randint(2**31))
        else:
            key = sample_key(results, results.get("dataset"))
            rng = np.random.default_rng([self.seed, zlib.crc32(key.encode())])
        apply = rng.random() < self.prob
        return self.degrade(results, rng) if apply else self.leave(results)

    def leave(self, results: dict) -> dict:
        """Return a sample that is not degraded."""
        return results

    def degrade(self, results: dict, rng: np.random.Generator) -> dict:
        """Return a degraded sample."""
        raise NotImplementedError


def _visible_points(results: dict) -> np.ndarray:
    """Return the visible landmarks ``(N, 2)`` of a sample's faces, image pixels."""
    points = np.asarray(results["keypoints"], np.float32)[..., :2]
    visible = np.asarray(results.get("keypoints_visible", np.ones(points.shape[:2])))
    # MMPose's KeypointConverter gives weights beside them, (N, K, 2).
    visible = visible.reshape(*points.shape[:2], -1)[..., 0]
    points = points[visible > 0]
    if not len(points):
        raise ValueError(
            f"sample {results.get('img_path')!r} shows no landmark: there is no face "
            "to degrade"
        )
    return points


@TRANSFORMS.register_module()
class RandomFaceOcclusion(_DegradeFace):
    """Cover a part of the face with textured patches.

    One to ``max_patches`` ellipses or rotated rectangles, centred on the face, all
    scaled until they cover the share drawn of the landmarks' convex hull. Each is
    filled with another part of the image (mirrored, its colours shifted), a smooth
    random texture, or a shaded colour; its edge is soft. Stands before the
    transforms that crop the face.

    Example:
        ```python
        load, *steps = _base_.train_pipeline
        degrade = dict(type='RandomFaceOcclusion', area=(0.1, 0.4), prob=0.5)
        train_pipeline = [load, degrade, *steps]
        train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
        ```

    Required Keys:

        - img
        - keypoints
        - keypoints_visible (optional)
        - sample_key, or img_path and id (with ``seed``)

    Modified Keys:

        - img

    Added Keys:

        - keypoints_occluded: (N, K) bool, landmarks under a patch
        - instance_mapping_table: has ``PackPoseInputs`` pack it, for
          ``FaceNME(subset='keypoints_occluded')``

    Args:
        area (float | Sequence[float]): The share of the face that is covered, or
            its range. Defaults to (0.1, 0.4).
        max_patches (int): Defaults to 3.
        prob (float): Probability of any occlusion. Defaults to 0.5.
        seed (int, optional): Draw from (seed, the sample's key), so that a sample
            is always occluded alike. Defaults to numpy's global generator.
    """

    def __init__(
        self,
        area: float | Sequence[float] = (0.1, 0.4),
        max_patches: int = 3,
        prob: float = 0.5,
        seed: int | None = None,
    ) -> None:
        super().__init__(prob, seed)
        self.area = (area, area) if np.isscalar(area) else tuple(area)
        if not 0 < self.area[0] <= self.area[1] <= 0.9:
            raise ValueError(
                f"RandomFaceOcclusion: area is {area}; expected shares of the face "
                "above 0, up to 0.9, in ascending order"
            )
        if max_patches < 1:
            raise ValueError(f"RandomFaceOcclusion: max_patches is {max_patches}")
        self.max_patches = max_patches

    def leave(self, results: dict) -> dict:
        """Mark no landmark as occluded."""
        shape = np.asarray(results["keypoints"]).shape[:2]
        return self._mark(results, np.zeros(shape, bool))

    def degrade(self, results: dict, rng: np.random.Generator) -> dict:
        """Cover a part of the face."""
        image = results["img"]
        hull = cv2.convexHull(_visible_points(results))[:, 0]
        patches = _draw_patches(rng, hull, 1 + int(rng.integers(self.max_patches)))
        mask = _scale_patches(patches, hull, image.shape[:2], rng.uniform(*self.area))
        covered = image.astype(np.float32)
        for patch in mask:
            alpha = cv2.GaussianBlur(patch.astype(np.float32), (0, 0), 0.7)[..., None]
            covered += alpha * (_filling(rng, image) - covered)
        results["img"] = np.clip(covered, 0, 255).astype(image.dtype)
        points = np.rint(np.asarray(results["keypoints"])[..., :2]).astype(int)
        height, width = image.shape[:2]
        inside = (points >= 0).all(-1) & (points < (width, height)).all(-1)
        x, y = np.clip(points, 0, (width - 1, height - 1)).transpose(2, 0, 1)
        return self._mark(results, mask.any(0)[y, x] & inside)

    @staticmethod
    def _mark(results: dict, occluded: np.ndarray) -> dict:
        results["keypoints_occluded"] = occluded
        table = results.get(
            "instance_mapping_table", PackPoseInputs.instance_mapping_table
        )
        results["instance_mapping_table"] = dict(
            table, keypoints_occluded="keypoints_occluded"
        )
        return results

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(area={self.area}, max_patches={self.max_patches}"
            f", prob={self.prob}, seed={self.seed})"
        )


def _draw_patches(rng: np.random.Generator, hull: np.ndarray, count: int) -> list:
    """Return the centre (pixels) and the unit polygon ``(P, 2)`` of each patch."""
    patches = []
    for _ in range(count):
        center = rng.dirichlet(np.full(len(hull), 0.2)) @ hull
        angle, aspect = rng.uniform(0, np.pi), np.sqrt(rng.uniform(0.4, 1))
        if rng.random() < 0.5:
            turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)
            outline = np.stack([np.cos(turn), np.sin(turn)], 1)
        else:
            outline = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], float)
        outline *= rng.uniform(0.5, 1) * np.array([1 / aspect, aspect])
        rotation = np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        patches.append((center, outline @ rotation.T))
    return patches


def _scale_patches(
    patches: list, hull: np.ndarray, size: tuple[int, int], area: float
) -> np.ndarray:
    """Return masks ``(P, H, W)`` bool that cover a share of the hull together."""

    def fill(outlines) -> np.ndarray:
        masks = np.zeros((len(outlines), *size), np.uint8)
        for mask, outline in zip(masks, outlines):
            cv2.fillPoly(mask, [np.rint(outline).astype(np.int32)], 1)
        return masks.astype(bool)

    face = fill([hull])[0]
    low, high = 0.0, 2 * float(longest_side(hull))
    for _ in range(12):
        scale = (low + high) / 2
        masks = fill([center + scale * outline for center, outline in patches])
        if masks.any(0)[face].mean() < area:
            low = scale
        else:
            high = scale
    return masks


def _filling(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Return a picture of the image's size to cover it with, float32."""
    height, width = image.shape[:2]
    kind = rng.integers(3)
    if kind == 0:
        shift = rng.integers(0, (height, width))
        picture = np.roll(image[::-1, ::-1], shift, axis=(0, 1)).astype(np.float32)
        return picture * rng.uniform(0.6, 1.3) + rng.uniform(-40, 40, 3)
    cells = 2 if kind == 1 else int(rng.integers(6, 24))
    texture = rng.normal(0, 12 if kind == 1 else 40, (cells, cells, 3))
    colour = image[rng.integers(height), rng.integers(width)]
    texture = np.float32(texture.mean(-1, keepdims=True) + texture / 3 + colour)
    return cv2.resize(texture, (width, height), interpolation=cv2.INTER_CUBIC)


@TRANSFORMS.register_module()
class RandomLowQuality(_DegradeFace):
    """Blur an image, lose its resolution and compress it as JPEG.

    Sizes are relative to the face, so that large and small images lose alike.
    Stands before the transforms that crop the face.

    Example:
        ```python
        load, *steps = _base_.train_pipeline
        degrade = dict(type='RandomLowQuality', face_size=(20, 60), prob=0.5)
        train_pipeline = [load, degrade, *steps]
        train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
        ```

    Required Keys: those of :class:`RandomFaceOcclusion`.

    Modified Keys:

        - img

    Args:
        face_size (Sequence[float]): Range of the face's size in pixels (geometric
            mean of the landmarks' box sides) that it is scaled down to, and up
            again. Faces that are smaller keep their size. Defaults to (20, 60).
        blur (Sequence[float]): Range of the Gaussian's sigma, as a share of the
            face's size. Defaults to (0, 0.03).
        quality (Sequence[int]): Range of the JPEG quality, 1 to 100, at the
            reduced size. Defaults to (10, 60).
        prob (float): Probability of any change. Defaults to 0.5.
        seed (int, optional): Draw from (seed, the sample's key), so that a sample
            is always degraded alike. Defaults to numpy's global generator.
    """

    def __init__(
        self,
        face_size: Sequence[float] = (20, 60),
        blur: Sequence[float] = (0, 0.03),
        quality: Sequence[int] = (10, 60),
        prob: float = 0.5,
        seed: int | None = None,
    ) -> None:
        super().__init__(prob, seed)
        ranges = dict(
            face_size=(face_size, 1, np.inf),
            blur=(blur, 0, 1),
            quality=(quality, 1, 100),
        )
        for name, ((low, high), least, most) in ranges.items():
            if not least <= low <= high <= most:
                raise ValueError(
                    f"RandomLowQuality: {name} is {(low, high)}; expected an ascending "
                    f"range from {least} to {most}"
                )
        self.face_size, self.blur, self.quality = face_size, blur, quality

    def degrade(self, results: dict, rng: np.random.Generator) -> dict:
        """Blur, shrink and compress the image."""
        image = results["img"]
        height, width = image.shape[:2]
        face = max(1.0, face_size(_visible_points(results)))
        sigma = rng.uniform(*self.blur) * face
        if sigma > 0.1:
            image = cv2.GaussianBlur(image, (0, 0), sigma)
        scale = min(1.0, rng.uniform(*self.face_size) / face)
        small = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = cv2.resize(image, small, interpolation=cv2.INTER_AREA)
        quality = int(rng.integers(self.quality[0], self.quality[1] + 1))
        _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
        image = cv2.imdecode(data, cv2.IMREAD_COLOR)
        results["img"] = cv2.resize(
            image, (width, height), interpolation=cv2.INTER_LINEAR
        )
        return results

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(face_size={self.face_size}, blur={self.blur}, "
            f"quality={self.quality}, prob={self.prob}, seed={self.seed})"
        )
