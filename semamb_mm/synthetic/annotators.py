"""Procedural annotators: where people would have marked a face's landmarks."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from semamb_mm.faces.curves import landmark_curves
from semamb_mm.faces.landmarks import (
    GROUPS_68,
    NUM_LANDMARKS,
    PARTS_68,
    WEAK_PARTS_68,
)
from semamb_mm.faces.sizes import face_unit

_CONTOUR = np.array(GROUPS_68["contour"])
_BROWS = np.array(GROUPS_68["brows"])
_NOSE_BRIDGE = np.array(PARTS_68["nose_bridge"].landmarks)
_STRONG = np.array(GROUPS_68["strong"])


@dataclass(frozen=True)
class AnnotationNoise:
    """Standard deviations of an annotator's error, all zero by default.

    Units: fraction of the distance between the true outer eye corners. ``along``
    displaces a landmark by an arc length on the smooth curve through the landmarks
    of its part; ``across`` then displaces it along that curve's normal.

    Attributes:
        contour_along: Along the jaw contour (landmarks 0-16), in total.
        contour_across: Across the jaw contour.
        brow_along: Along the brows (17-26).
        bridge_along: Along the bridge of the nose (27-30).
        inner_across: Across the brows and the bridge of the nose.
        strong: Nose base, eyes and mouth (31-67), along each image axis.
        shared: Share of the variance of ``contour_along`` that is one common slide
            of all 17 contour landmarks of a face; the rest is independent.
        gross: Share of all landmarks that are misplaced by 0.2 to 0.5, anywhere.
    """

    contour_along: float = 0.0
    contour_across: float = 0.0
    brow_along: float = 0.0
    bridge_along: float = 0.0
    inner_across: float = 0.0
    strong: float = 0.0
    shared: float = 0.0
    gross: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not np.isfinite(value) or value < 0:
                raise ValueError(
                    f"AnnotationNoise.{field.name} is {value}: expected a finite "
                    "number >= 0"
                )
        for name in ("shared", "gross"):
            if getattr(self, name) > 1:
                raise ValueError(
                    f"AnnotationNoise.{name} is {getattr(self, name)}: a share lies "
                    "between 0 and 1"
                )


_REALISTIC = AnnotationNoise(
    contour_along=0.039,
    contour_across=0.010,
    brow_along=0.016,
    bridge_along=0.016,
    inner_across=0.006,
    strong=0.005,
    shared=0.3,
)
NOISE_PRESETS = {
    "none": AnnotationNoise(),
    "realistic": _REALISTIC,
    "heavy": replace(
        _REALISTIC, contour_along=0.078, brow_along=0.032, bridge_along=0.032
    ),
    "gross": replace(_REALISTIC, gross=0.05),
    "slips": replace(_REALISTIC, gross=0.005),
}


def get_noise(noise: str | dict | AnnotationNoise) -> AnnotationNoise:
    """Return the noise model of a preset's name, of a dict of fields, or itself."""
    if isinstance(noise, AnnotationNoise):
        return noise
    if isinstance(noise, str):
        if noise not in NOISE_PRESETS:
            raise ValueError(
                f"unknown annotation noise {noise!r}: expected one of "
                f"{sorted(NOISE_PRESETS)} or a dict of AnnotationNoise fields"
            )
        return NOISE_PRESETS[noise]
    known = {field.name for field in fields(AnnotationNoise)}
    unknown = sorted(set(noise) - known)
    if unknown:
        raise ValueError(
            f"unknown annotation noise fields {unknown}: expected {sorted(known)}"
        )
    return AnnotationNoise(**noise)


def displace(
    keypoints: np.ndarray, rng: np.random.Generator, noise: AnnotationNoise
) -> np.ndarray:
    """Move true landmarks to where an annotator might have marked them.

    Errors are zero-mean and Gaussian, and do not depend on the image:

    - contour: slides along the jaw curve, by one common shift per face (a share
      ``noise.shared`` of the variance) plus an independent one per landmark, and a
      small independent error across;
    - brows and bridge of the nose: an independent slide along their curve and a
      small error across;
    - all others: an independent error, equal in both image axes;
    - a share ``noise.gross`` of all: misplaced, on top, in any direction.

    Args:
        keypoints: (68, 2), the truth in pixels.
        rng: The annotator's random numbers.
        noise: Standard deviations as fractions of the outer-eye-corner distance.

    Returns:
        (68, 2) float32 in pixels.
    """
    normal = rng.standard_normal((NUM_LANDMARKS, 2))
    annotated = displace_by(keypoints, normal, rng.standard_normal(), noise)
    return misplace(annotated, rng, noise)


def misplace(
    annotated: np.ndarray, rng: np.random.Generator, noise: AnnotationNoise
) -> np.ndarray:
    """Add gross errors to annotations ``(68, 2)``; draw nothing if there are none."""
    if not noise.gross:
        return annotated
    unit = face_unit(annotated[None])[0]
    wrong = rng.random(NUM_LANDMARKS) < noise.gross
    angle = rng.uniform(0, 2 * np.pi, NUM_LANDMARKS)
    length = unit * rng.uniform(0.2, 0.5, NUM_LANDMARKS)
    shift = length[:, None] * np.stack([np.cos(angle), np.sin(angle)], 1)
    return np.where(wrong[:, None], annotated + shift, annotated).astype(np.float32)


def displace_by(
    keypoints: np.ndarray, normal: np.ndarray, common: float, noise: AnnotationNoise
) -> np.ndarray:
    """Do as :func:`displace` by given errors, in units of their standard deviations.

    Args:
        keypoints: (68, 2), the truth in pixels.
        normal: (68, 2) of each landmark: along and across, or x and y.
        common: Of the slide that all contour landmarks share.
        noise: The standard deviations.

    Returns:
        (68, 2) float32 in pixels.
    """
    truth = np.asarray(keypoints, dtype=np.float64)
    unit = face_unit(truth[None])[0]
    along = np.zeros(NUM_LANDMARKS)
    across = np.zeros(NUM_LANDMARKS)
    along[_CONTOUR] = noise.contour_along * (
        np.sqrt(1 - noise.shared) * normal[_CONTOUR, 0] + np.sqrt(noise.shared) * common
    )
    across[_CONTOUR] = noise.contour_across * normal[_CONTOUR, 1]
    along[_BROWS] = noise.brow_along * normal[_BROWS, 0]
    along[_NOSE_BRIDGE] = noise.bridge_along * normal[_NOSE_BRIDGE, 0]
    inner = np.concatenate([_BROWS, _NOSE_BRIDGE])
    across[inner] = noise.inner_across * normal[inner, 1]

    annotated = truth.copy()
    for part, curve in landmark_curves(truth, WEAK_PARTS_68):
        if not (along[part].any() or across[part].any()):
            continue
        arc = curve.landmark_arc + along[part] * unit
        tangent = curve.tangent(np.clip(arc, 0, curve.arc[-1]))
        offset = np.stack([-tangent[:, 1], tangent[:, 0]], 1)
        annotated[part] = curve.at(arc) + across[part, None] * unit * offset
    annotated[_STRONG] += noise.strong * unit * normal[_STRONG]
    return annotated.astype(np.float32)
