"""Procedural faces with known 68-point landmarks.

Plain numpy and OpenCV. A face is a small 3D shape (300W's 68-point mark-up, with
identity and expression parameters) that is rotated, projected and painted. Every
landmark is a fixed point of that shape: the contour landmarks divide the jaw curve
between the two ears into 16 pieces of equal arc length, so that the ears, the chin
and the width of the jaw, all visible, determine them.

Landmarks are in image pixels; the centre of the top left pixel is (0, 0).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from semamb_mm.faces.curves import landmark_curves
from semamb_mm.faces.landmarks import NUM_LANDMARKS

from .annotators import AnnotationNoise, displace
from .develop import develop
from .painter import FacePainter


class SyntheticFace(NamedTuple):
    """One rendered face.

    Attributes:
        image: (H, W, 3) uint8, BGR.
        keypoints: (68, 2) float32, the true landmarks (x, y) in image pixels.
        occluded: (68,) bool, landmarks hidden by an occluder.
        tangents: (68, 2) float32, unit direction of the curve at each landmark.
    """

    image: np.ndarray
    keypoints: np.ndarray
    occluded: np.ndarray
    tangents: np.ndarray


def render_face(
    seed: int, index: int, image_size: int = 160, occlusion: float = 0.2
) -> SyntheticFace:
    """Render face number ``index`` of the world ``seed``.

    Args:
        seed: The population; different seeds share no face.
        index: The face.
        image_size: Side of the square image in pixels.
        occlusion: Share of faces that are partly hidden by an object, a hand or a
            lock of hair.

    Returns:
        The image and its true landmarks. The same arguments give the same face.
    """
    artist = FacePainter(np.random.default_rng([seed, index]), image_size)
    artist.paint()
    rng = np.random.default_rng([seed, index, 1])
    occluded = np.zeros(NUM_LANDMARKS, bool)
    if rng.random() < occlusion:
        occluded = artist.occlude()
    image = develop(rng, artist.canvas.pixels, image_size)
    keypoints = artist.keypoints
    tangents = np.empty_like(keypoints)
    for part, curve in landmark_curves(keypoints):
        tangents[part] = curve.tangent(curve.landmark_arc)
    return SyntheticFace(
        image, keypoints.astype(np.float32), occluded, tangents.astype(np.float32)
    )


def true_keypoints(seed: int, index: int, image_size: int = 160) -> np.ndarray:
    """Return the landmarks ``(68, 2)`` of :func:`render_face`, without painting it."""
    painter = FacePainter(np.random.default_rng([seed, index]), image_size)
    return painter.keypoints.astype(np.float32)


def annotate(
    face: SyntheticFace, rng: np.random.Generator, noise: AnnotationNoise
) -> np.ndarray:
    """Return what an annotator with this noise would have marked on a face.

    See :func:`displace`, which does it.
    """
    return displace(face.keypoints, rng, noise)
