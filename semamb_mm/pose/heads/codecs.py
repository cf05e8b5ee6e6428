"""What each codec's heatmaps are to the search, and which codecs it cannot take."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from mmpose.codecs import MegviiHeatmap, UDPHeatmap
from mmpose.registry import KEYPOINT_CODECS
from torch import Tensor

WORKING = (
    "The codecs that work are MSRAHeatmap, UDPHeatmap and MegviiHeatmap; SimCCLabel "
    "with type='SemanticAlignmentRTMCCHead' (RTMPose), 'SemanticAlignmentRTMWHead' or "
    "'SemanticAlignmentSimCCHead'"
)
_SIMCC = "makes a distribution along x and one along y, no heatmaps"
_COORDINATES = "stands for coordinates, and there is no heatmap that could be searched"
_BOTTOM_UP = "is for heads that find all instances of an image at once"
_LIFTING = "is for landmarks in three dimensions"
REFUSED = dict(
    SimCCLabel=_SIMCC,
    RegressionLabel=_COORDINATES,
    IntegralRegressionLabel=_COORDINATES,
    AssociativeEmbedding=_BOTTOM_UP,
    SPR=_BOTTOM_UP,
    DecoupledHeatmap=_BOTTOM_UP,
    EDPoseLabel=_BOTTOM_UP,
    YOLOXPoseAnnotationProcessor=_BOTTOM_UP,
    Hand3DHeatmap=_LIFTING,
    ImagePoseLifting=_LIFTING,
    VideoPoseLifting=_LIFTING,
    MotionBERTLabel=_LIFTING,
)
# A codec of the user's own must say these.
NEEDED = ("scale_factor", "heatmap_size", "sigma")


def check_codec(decoder: Mapping | None, owner: str) -> None:
    """Refuse a codec that has not one heatmap a landmark.

    Args:
        decoder: The codec's config.
        owner: The head's type, for the message.

    Raises:
        ValueError: Naming the codec, and what works.
    """
    if decoder is None:
        raise ValueError(
            f"{owner} needs decoder=dict(type='MSRAHeatmap', ...). {WORKING}"
        )
    codec = KEYPOINT_CODECS.build(decoder)
    name = type(codec).__name__
    why = REFUSED.get(name)
    if why is None and not isinstance(codec, MegviiHeatmap):
        missing = [key for key in NEEDED if getattr(codec, key, None) is None]
        why = f"has no {', '.join(missing)}" if missing else None
    if why is not None:
        raise ValueError(f"{owner}: decoder=dict(type='{name}') {why}. {WORKING}")


def is_combined(codec: object) -> bool:
    """Whether a codec has three maps a landmark: a disk, and the way to its centre."""
    return isinstance(codec, UDPHeatmap) and codec.heatmap_type == "combined"


def codec_sigma(codec: object) -> float | tuple[float, float]:
    """Return the standard deviation of what :func:`gaussian_heatmaps` gives, in cells.

    ``MegviiHeatmap`` blurs a cell by OpenCV, whose Gaussian of a kernel of ``k`` cells
    has 0.3 ((k - 1) / 2 - 1) + 0.8; bringing it half a cell on widens it.
    """
    if is_combined(codec):
        return _disk_radius(codec) / 3
    if isinstance(codec, MegviiHeatmap):
        blur = 0.3 * ((codec.kernel_size - 1) / 2 - 1) + 0.8
        return (blur**2 + 0.25) ** 0.5
    return codec.sigma


def gaussian_heatmaps(codec: object, heatmaps: Tensor) -> Tensor:
    """Return what a head predicts as Gaussians of height 1 about the landmarks.

    - ``MSRAHeatmap`` and ``UDPHeatmap`` are that already.
    - ``UDPHeatmap(heatmap_type='combined')`` predicts a disk, and in each cell the way
      to the landmark in units of the disk's radius. The Gaussian of that way, times
      the disk, is the heatmap.
    - ``MegviiHeatmap`` has the height 255, and its peak lies in the cell that the
      landmark is in, so half a cell before it on average, which its decoding adds
      again. The mean of neighbouring cells brings the map half a cell on.

    Args:
        codec: The head's decoder.
        heatmaps: ``(B, C, H, W)``.

    Returns:
        ``(B, K, H, W)``; C is K, or 3 K for combined maps.
    """
    if is_combined(codec):
        disk, x, y = heatmaps.unflatten(1, (-1, 3)).unbind(2)
        squares = (x**2 + y**2) * _disk_radius(codec) ** 2
        return disk * torch.exp(-squares / (2 * codec_sigma(codec) ** 2))
    if isinstance(codec, MegviiHeatmap):
        grown = torch.nn.functional.pad(heatmaps, (1, 0, 1, 0), mode="replicate")
        return torch.nn.functional.avg_pool2d(grown, 2, stride=1) / 255
    return heatmaps


def _disk_radius(codec: UDPHeatmap) -> float:
    return codec.radius_factor * max(codec.heatmap_size)
