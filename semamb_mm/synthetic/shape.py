"""The 3D shape of a procedural face: identity, expression and the curves they make.

Shape coordinates: x to the image's right, y down, z towards the viewer; the origin
lies between the eyes and the average outer eye corners are at x = -1 and x = +1.
Curves of paired parts are those of the image's right half; the left half is their
mirror image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_STEPS = np.linspace(0, 1, 41)  # along a brow or a lid


class Identity(NamedTuple):
    """What of a face's shape does not change: positions and sizes, shape units."""

    width: float
    ear_y: float
    height: float
    squareness: float
    chin: float
    eye_x: float
    eye_w: float
    eye_up: float
    eye_low: float
    eye_tilt: float
    brow_y: float
    brow_arch: float
    brow_slope: float
    brow_thickness: float
    nose_y: float
    nose_w: float
    nose_depth: float
    mouth_y: float
    mouth_w: float
    lip_up: float
    lip_low: float
    forehead: float


# Mean and standard deviation of each number. They are drawn in this order, which is
# that of the fields.
_IDENTITIES = dict(
    width=(1.57, 0.09),
    ear_y=(0.02, 0.06),
    height=(2.45, 0.14),
    squareness=(0.86, 0.08),
    chin=(1.0, 0.07),
    eye_x=(0.71, 0.035),
    eye_w=(0.29, 0.02),
    eye_up=(0.135, 0.022),
    eye_low=(0.085, 0.015),
    eye_tilt=(0.0, 0.03),
    brow_y=(-0.33, 0.05),
    brow_arch=(0.16, 0.05),
    brow_slope=(0.03, 0.06),
    brow_thickness=(0.11, 0.03),
    nose_y=(0.84, 0.08),
    nose_w=(0.335, 0.04),
    nose_depth=(0.72, 0.1),
    mouth_y=(1.55, 0.06),
    mouth_w=(0.62, 0.06),
    lip_up=(0.15, 0.035),
    lip_low=(0.2, 0.04),
    forehead=(1.65, 0.12),
)


class Expression(NamedTuple):
    """What a face does.

    Attributes:
        smile: From about -0.3 to 1.
        opening: Of the mouth, shape units, 0 to 0.65.
        raised: Brows, shape units.
        lids: Share of the upper lids' usual height; below 0.3 an eye counts as closed.
        gaze: ``(2,)`` shift of the irises, shape units.
    """

    smile: float
    opening: float
    raised: float
    lids: float
    gaze: np.ndarray


class Shape:
    """A face's identity and expression, as named 3D curves in shape coordinates.

    Args:
        rng: Draws both.
        expression: Instead of the one drawn.
    """

    EYE_DEPTH = -0.04
    IRIS_RADIUS = 0.135

    def __init__(
        self, rng: np.random.Generator, expression: Expression | None = None
    ) -> None:
        self.identity = draw_identity(rng)
        drawn = draw_expression(rng)
        self.expression = drawn if expression is None else expression
        self.jaw = jaw_curve(self.identity, self.expression)
        self.forehead = forehead_curve(self.identity)
        self.brow = brow_curve(self.identity, self.expression)
        self.eye_upper, self.eye_lower = lid_curves(self.identity, self.expression)
        self.eye_centre = np.array([self.identity.eye_x, 0.0, self.EYE_DEPTH])
        self.bridge, self.nose_base = nose_landmarks(self.identity)
        self.landmarks = self._landmarks()

    def _landmarks(self) -> np.ndarray:
        """Return the 68 landmarks ``(68, 3)``, in 300W's order."""
        right_brow = self.brow[::10]
        right_eye = eye_landmarks(self.eye_upper, self.eye_lower)
        left_eye = mirrored(right_eye)[[3, 2, 1, 0, 5, 4]]
        outer, inner = lip_landmarks(self.identity, self.expression)
        return np.concatenate(
            [
                contour_landmarks(self.jaw),
                mirrored(right_brow)[::-1],
                right_brow,
                self.bridge,
                self.nose_base,
                left_eye,
                right_eye,
                outer,
                inner,
            ]
        )


def mirrored(points: np.ndarray) -> np.ndarray:
    """Return the mirror image ``(N, 3)`` in the other half of the face."""
    return points * (-1.0, 1.0, 1.0)


def _vary(rng: np.random.Generator, mean: float, spread: float) -> float:
    return mean + spread * min(max(rng.standard_normal(), -2.2), 2.2)


def draw_identity(rng: np.random.Generator) -> Identity:
    """Draw a person."""
    return Identity(
        *(_vary(rng, mean, spread) for mean, spread in _IDENTITIES.values())
    )


def draw_expression(rng: np.random.Generator) -> Expression:
    """Draw what the face does."""
    smile = float(rng.uniform(-0.3, 1.0)) if rng.random() < 0.6 else 0.0
    opening = float(rng.gamma(1.6, 0.12)) if rng.random() < 0.55 else 0.0
    raised = _vary(rng, 0.0, 0.045)
    lids = float(rng.uniform(0.75, 1.15))
    if rng.random() < 0.07:
        lids = float(rng.uniform(0.05, 0.25))
    gaze = rng.uniform(-0.09, 0.09, 2) * (1.0, 0.5)
    return Expression(smile, min(opening, 0.65), raised, lids, gaze)


def jaw_curve(identity: Identity, expression: Expression) -> np.ndarray:
    """Return ``(161, 3)`` from ear to ear: a superellipse that an open mouth lowers."""
    height = identity.height + 0.75 * expression.opening
    theta = np.linspace(0, np.pi, 161)
    cosine, sine = np.cos(theta), np.sin(theta)
    jaw = np.empty((161, 3))
    jaw[:, 0] = (
        -identity.width * np.sign(cosine) * np.abs(cosine) ** identity.squareness
    )
    jaw[:, 1] = identity.ear_y + height * sine**identity.chin
    jaw[:, 2] = 0.05 - 0.62 * (jaw[:, 0] / identity.width) ** 2
    return jaw


def contour_landmarks(jaw: np.ndarray) -> np.ndarray:
    """Return the ``(17, 3)`` points that divide the jaw into equal arc lengths."""
    steps = np.linalg.norm(np.diff(jaw, axis=0), axis=1)
    arc = np.concatenate([[0.0], np.cumsum(steps)])
    stations = np.linspace(0, arc[-1], 17)
    return np.stack([np.interp(stations, arc, jaw[:, i]) for i in range(3)], 1)


def forehead_curve(identity: Identity) -> np.ndarray:
    """Return ``(58, 3)`` over the forehead, from the jaw's end to its beginning."""
    t = np.linspace(0, np.pi, 60)[1:-1]
    return np.stack(
        [
            identity.width * np.cos(t),
            identity.ear_y - identity.forehead * np.sin(t) ** 0.9,
            -0.57 + 0.5 * np.sin(t),
        ],
        1,
    )


def brow_curve(identity: Identity, expression: Expression) -> np.ndarray:
    """Return ``(41, 3)`` along the upper edge of a brow, from the nose outwards."""
    s = _STEPS
    brow = np.empty((41, 3))
    brow[:, 0] = 0.27 + 1.03 * s
    brow[:, 1] = (
        identity.brow_y
        - expression.raised
        - identity.brow_arch * np.sin(np.pi * np.clip(0.1 + 0.75 * s, 0, 1))
        + identity.brow_slope * (0.5 - s)
        + 0.20 * s**2
    )
    brow[:, 2] = 0.22 - 0.42 * s**1.5
    return brow


def lid_curves(
    identity: Identity, expression: Expression
) -> tuple[np.ndarray, np.ndarray]:
    """Return ``(41, 3)`` along the upper and the lower lid, from the nose outwards."""
    s = _STEPS
    lid = np.sin(np.pi * s) ** 0.85
    upper, lower = np.empty((41, 3)), np.empty((41, 3))
    amounts = (-identity.eye_up * expression.lids, identity.eye_low)
    for curve, amount in zip((upper, lower), amounts):
        curve[:, 0] = identity.eye_x - identity.eye_w + 2 * identity.eye_w * s
        curve[:, 1] = identity.eye_tilt * (0.5 - s) * 2 + amount * lid
        curve[:, 2] = 0.02 - 0.22 * s
    if expression.lids < 0.3:
        lower[:, 1] = upper[:, 1] + identity.eye_low * lid * (1 + 0.3 * expression.lids)
    return upper, lower


def eye_landmarks(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """Return the ``(6, 3)`` landmarks of the right half's eye: inner corner first."""
    third, two_thirds = 13, 27
    return np.stack(
        [
            upper[0],
            upper[third],
            upper[two_thirds],
            upper[40],
            lower[two_thirds],
            lower[third],
        ]
    )


def nose_landmarks(identity: Identity) -> tuple[np.ndarray, np.ndarray]:
    """Return the bridge ``(4, 3)``, from the top, and the base ``(5, 3)``."""
    bridge = np.zeros((4, 3))
    bridge[:, 1] = np.linspace(0.02, identity.nose_y, 4)
    bridge[:, 2] = np.linspace(0.25, identity.nose_depth, 4)
    base = np.zeros((5, 3))
    base[:, 0] = identity.nose_w * np.array([-1, -0.5, 0, 0.5, 1])
    base[:, 1] = identity.nose_y + np.array([0.18, 0.24, 0.28, 0.24, 0.18])
    base[:, 2] = np.array([0.25, 0.38, 0.46, 0.38, 0.25])
    return bridge, base


def lip_landmarks(
    identity: Identity, expression: Expression
) -> tuple[np.ndarray, np.ndarray]:
    """Return the outer ``(12, 3)`` and inner ``(8, 3)`` lips, from the left corner."""
    smile, drop = expression.smile, expression.opening
    wide = identity.mouth_w * (1 + 0.16 * max(smile, 0) - 0.25 * drop)
    middle, up, low = identity.mouth_y, identity.lip_up, identity.lip_low
    corner = middle - 0.10 * smile + 0.25 * drop
    lift = 0.03 * smile
    # (x in half mouth widths, y) of the right half, from the middle outwards
    outer_upper = [
        (0.0, middle - up + 0.03 - lift),
        (0.27, middle - up - lift),
        (0.64, (middle - 0.62 * up) * 0.6 + corner * 0.4 - lift),
        (1.0, corner),
    ]
    outer_lower = [
        (0.68, 0.35 * corner + 0.65 * (middle + 0.8 * low + drop)),
        (0.30, middle + low + drop),
        (0.0, middle + 1.05 * low + drop),
    ]
    inner_upper = [(0.0, middle), (0.29, middle - 0.005 - lift), (0.87, corner + 0.005)]
    inner_lower = [(0.29, middle + 0.02 + drop), (0.0, middle + 0.03 + drop)]
    return (
        _closed_lips(wide, outer_upper, outer_lower),
        _closed_lips(wide, inner_upper, inner_lower),
    )


def _closed_lips(
    wide: float, upper: list[tuple[float, float]], lower: list[tuple[float, float]]
) -> np.ndarray:
    """Return the 3D outline of which the right half is given, from the left corner."""
    right_upper, right_lower = (
        np.stack([wide * xy[:, 0], xy[:, 1], 0.36 - 0.30 * xy[:, 0] ** 2], 1)
        for xy in (np.array(upper), np.array(lower))
    )
    return np.concatenate(
        [
            mirrored(right_upper[:0:-1]),
            right_upper,
            right_lower,
            mirrored(right_lower[-2::-1]),
        ]
    )
