"""Paints procedural faces: a small 3D shape, projected and drawn part by part.

Shape coordinates: x to the image's right, y down, z towards the viewer; the origin
lies between the eyes and the average outer eye corners are at x = -1 and x = +1.
Image coordinates: pixels, with the centre of the top left pixel at (0, 0).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import cv2
import numpy as np

from semamb_mm.faces.curves import LandmarkCurve

_SUPERSAMPLING = 2
_SHIFT = 4  # fractional bits of the coordinates given to OpenCV
_SHADE_STEP = 4  # canvas pixels per cell of the shading map


def _mirrored(points: np.ndarray) -> np.ndarray:
    return points * (-1.0, 1.0, 1.0)


class Expression(NamedTuple):
    """What a face does.

    Attributes:
        smile: from about -0.3 to 1.
        opening: of the mouth, shape units, 0 to 0.65.
        raised: brows, shape units.
        lids: of the upper lids' usual height; below 0.3 an eye counts as closed.
        gaze: (2,) shift of the irises, shape units.
    """

    smile: float
    opening: float
    raised: float
    lids: float
    gaze: np.ndarray


class Moment(NamedTuple):
    """What of a face changes from frame to frame of a video.

    Attributes:
        expression: of the face.
        angles: yaw, pitch and roll of the head, radians.
        scale: image pixels per shape unit.
        offset: (2,) image pixels, where the shape's origin is.
        light: (3,) factors on the direction of the light.
    """

    expression: Expression
    angles: tuple[float, float, float]
    scale: float
    offset: np.ndarray
    light: np.ndarray


class _Shape:
    """A face's identity and expression, as named 3D curves in shape coordinates.

    Args:
        rng: draws both.
        expression: instead of the one drawn.
    """

    def __init__(
        self, rng: np.random.Generator, expression: Expression | None = None
    ) -> None:
        def vary(mean: float, spread: float) -> float:
            return mean + spread * min(max(rng.standard_normal(), -2.2), 2.2)

        self.width = vary(1.57, 0.09)
        self.ear_y = vary(0.02, 0.06)
        self.height = vary(2.45, 0.14)
        squareness = vary(0.86, 0.08)
        chin = vary(1.0, 0.07)
        eye_x, eye_w = vary(0.71, 0.035), vary(0.29, 0.02)
        eye_up, eye_low = vary(0.135, 0.022), vary(0.085, 0.015)
        eye_tilt = vary(0.0, 0.03)
        brow_y, brow_arch = vary(-0.33, 0.05), vary(0.16, 0.05)
        brow_slope = vary(0.03, 0.06)
        self.brow_thickness = vary(0.11, 0.03)
        nose_y, nose_w = vary(0.84, 0.08), vary(0.335, 0.04)
        nose_depth = vary(0.72, 0.1)
        mouth_y, mouth_w = vary(1.55, 0.06), vary(0.62, 0.06)
        lip_up, lip_low = vary(0.15, 0.035), vary(0.2, 0.04)
        self.forehead = vary(1.65, 0.12)

        smile = float(rng.uniform(-0.3, 1.0)) if rng.random() < 0.6 else 0.0
        opening = float(rng.gamma(1.6, 0.12)) if rng.random() < 0.55 else 0.0
        opening = min(opening, 0.65)
        raised = vary(0.0, 0.045)
        lids = float(rng.uniform(0.75, 1.15))
        if rng.random() < 0.07:
            lids = float(rng.uniform(0.05, 0.25))
        gaze = rng.uniform(-0.09, 0.09, 2) * (1.0, 0.5)
        if expression is not None:
            smile, opening, raised, lids, gaze = expression
        self.expression = Expression(smile, opening, raised, lids, gaze)
        self.opening, self.smile, self.gaze = opening, smile, gaze

        # jaw: a superellipse from ear to ear, lowered by the opening mouth
        self.height += 0.75 * opening
        theta = np.linspace(0, np.pi, 161)
        cosine, sine = np.cos(theta), np.sin(theta)
        jaw = np.empty((161, 3))
        jaw[:, 0] = -self.width * np.sign(cosine) * np.abs(cosine) ** squareness
        jaw[:, 1] = self.ear_y + self.height * sine**chin
        jaw[:, 2] = 0.05 - 0.62 * (jaw[:, 0] / self.width) ** 2
        self.jaw = jaw
        steps = np.linalg.norm(np.diff(jaw, axis=0), axis=1)
        arc = np.concatenate([[0.0], np.cumsum(steps)])
        stations = np.linspace(0, arc[-1], 17)
        contour = np.stack([np.interp(stations, arc, jaw[:, i]) for i in range(3)], 1)

        # right half of the image first; the left half is its mirror
        s = np.linspace(0, 1, 41)
        brow = np.empty((41, 3))
        brow[:, 0] = 0.27 + 1.03 * s
        brow[:, 1] = (
            brow_y
            - raised
            - brow_arch * np.sin(np.pi * np.clip(0.1 + 0.75 * s, 0, 1))
            + brow_slope * (0.5 - s)
            + 0.20 * s**2
        )
        brow[:, 2] = 0.22 - 0.42 * s**1.5
        self.brow = brow

        lid = np.sin(np.pi * s) ** 0.85
        upper, lower = np.empty((41, 3)), np.empty((41, 3))
        for curve, amount in ((upper, -eye_up * lids), (lower, eye_low)):
            curve[:, 0] = eye_x - eye_w + 2 * eye_w * s
            curve[:, 1] = eye_tilt * (0.5 - s) * 2 + amount * lid
            curve[:, 2] = 0.02 - 0.22 * s
        if lids < 0.3:
            lower[:, 1] = upper[:, 1] + eye_low * lid * (1 + 0.3 * lids)
        self.eye_upper, self.eye_lower = upper, lower
        self.eye_centre = np.array([eye_x, 0.0, -0.04])
        self.iris_radius = 0.135

        bridge = np.zeros((4, 3))
        bridge[:, 1] = np.linspace(0.02, nose_y, 4)
        bridge[:, 2] = np.linspace(0.25, nose_depth, 4)
        base = np.zeros((5, 3))
        base[:, 0] = nose_w * np.array([-1, -0.5, 0, 0.5, 1])
        base[:, 1] = nose_y + np.array([0.18, 0.24, 0.28, 0.24, 0.18])
        base[:, 2] = np.array([0.25, 0.38, 0.46, 0.38, 0.25])
        self.bridge, self.nose_base = bridge, base

        wide = mouth_w * (1 + 0.16 * max(smile, 0) - 0.25 * opening)
        corner_y = mouth_y - 0.10 * smile + 0.25 * opening
        drop = opening

        def mouth(points: list[tuple[float, float]]) -> np.ndarray:
            """(x in half mouth widths, y) of the right half, as 3D points."""
            xy = np.array(points)
            x = wide * xy[:, 0]
            return np.stack([x, xy[:, 1], 0.36 - 0.30 * xy[:, 0] ** 2], 1)

        lift = 0.03 * smile
        right_upper = mouth(
            [
                (0.0, mouth_y - lip_up + 0.03 - lift),
                (0.27, mouth_y - lip_up - lift),
                (0.64, (mouth_y - 0.62 * lip_up) * 0.6 + corner_y * 0.4 - lift),
                (1.0, corner_y),
            ]
        )
        right_lower = mouth(
            [
                (0.68, 0.35 * corner_y + 0.65 * (mouth_y + 0.8 * lip_low + drop)),
                (0.30, mouth_y + lip_low + drop),
                (0.0, mouth_y + 1.05 * lip_low + drop),
            ]
        )
        inner_upper = mouth(
            [(0.0, mouth_y), (0.29, mouth_y - 0.005 - lift), (0.87, corner_y + 0.005)]
        )
        inner_lower = mouth(
            [(0.29, mouth_y + 0.02 + drop), (0.0, mouth_y + 0.03 + drop)]
        )
        outer = np.concatenate(
            [
                _mirrored(right_upper[:0:-1]),
                right_upper,
                right_lower,
                _mirrored(right_lower[-2::-1]),
            ]
        )
        inner = np.concatenate(
            [
                _mirrored(inner_upper[:0:-1]),
                inner_upper,
                inner_lower,
                _mirrored(inner_lower[-2::-1]),
            ]
        )
        third, two_thirds = (13, 27)
        right_eye = np.stack(
            [
                upper[0],
                upper[third],
                upper[two_thirds],
                upper[40],
                lower[two_thirds],
                lower[third],
            ]
        )
        left_eye = _mirrored(right_eye)[[3, 2, 1, 0, 5, 4]]
        right_brow = brow[::10]
        self.landmarks = np.concatenate(
            [
                contour,
                _mirrored(right_brow)[::-1],
                right_brow,
                bridge,
                base,
                left_eye,
                right_eye,
                outer,
                inner,
            ]
        )


class _Camera:
    """Rotation, weak perspective and placement: shape coordinates to pixels."""

    def __init__(
        self, rng: np.random.Generator, landmarks: np.ndarray, image_size: int
    ) -> None:
        yaw = np.deg2rad(np.clip(rng.normal(0, 15), -35, 35))
        pitch = np.deg2rad(np.clip(rng.normal(0, 7), -16, 16))
        roll = np.deg2rad(np.clip(rng.normal(0, 8), -25, 25))
        self.turn(yaw, pitch, roll)
        self.scale = image_size * rng.uniform(0.145, 0.185)
        self.offset = np.zeros(2)
        placed = self.project(landmarks)
        low, high = placed.min(0), placed.max(0)
        fit = 0.86 * image_size / (high - low).max()
        self.scale *= min(1.0, fit)
        placed = self.project(landmarks)
        low, high = placed.min(0), placed.max(0)
        wanted = image_size * (
            np.array([0.5, 0.57]) + rng.uniform(-1, 1, 2) * (0.07, 0.05)
        )
        border = 0.04 * image_size
        shift = wanted - (low + high) / 2
        shift = np.clip(shift, border - low, image_size - 1 - border - high)
        self.offset = shift

    def turn(self, yaw: float, pitch: float, roll: float) -> None:
        """Set the rotation, radians."""
        self.angles = (yaw, pitch, roll)
        cy, sy = np.cos(yaw), np.sin(yaw)
        cp, sp = np.cos(pitch), np.sin(pitch)
        cr, sr = np.cos(roll), np.sin(roll)
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        self.rotation = about_z @ about_x @ about_y

    def project(self, points: np.ndarray) -> np.ndarray:
        """(N, 3) shape coordinates to (N, 2) image pixels."""
        turned = points @ self.rotation.T
        return turned[:, :2] * self.scale * (1 + 0.05 * turned[:, 2:]) + self.offset


# -------------------------------------------------------------------------- painting


def _smooth_noise(
    rng: np.random.Generator, size: int, cells: int, channels: int
) -> np.ndarray:
    """(size, size, channels) float32 noise of about unit std, ``cells`` a side."""
    coarse = rng.standard_normal((cells, cells, channels), dtype=np.float32)
    field = cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC)
    return field.reshape(size, size, channels)


class _Painter:
    """Draws one face on a supersampled canvas; positions in image pixels."""

    def __init__(self, image_size: int) -> None:
        self.side = image_size * _SUPERSAMPLING
        self.canvas = np.zeros((self.side, self.side, 3), np.uint8)

    @staticmethod
    def fixed(points: np.ndarray) -> np.ndarray:
        """Image pixels to OpenCV's fixed-point canvas coordinates."""
        # image pixel x covers canvas pixels 2x and 2x + 1: its centre is 2x + 1/2
        canvas = points * _SUPERSAMPLING + (_SUPERSAMPLING - 1) / 2
        return np.round(canvas * (1 << _SHIFT)).astype(np.int32)

    def fill(self, points: np.ndarray, colour: np.ndarray) -> None:
        cv2.fillPoly(
            self.canvas,
            [self.fixed(points)],
            tuple(map(float, colour)),
            cv2.LINE_AA,
            _SHIFT,
        )

    def line(
        self,
        points: np.ndarray,
        colour: np.ndarray,
        width: float,
        closed: bool = False,
    ) -> None:
        """A polyline ``width`` image pixels wide (at least one canvas pixel)."""
        thickness = max(1, round(width * _SUPERSAMPLING))
        cv2.polylines(
            self.canvas,
            [self.fixed(points)],
            closed,
            tuple(map(float, colour)),
            thickness,
            cv2.LINE_AA,
            _SHIFT,
        )

    def mask(self, points: np.ndarray) -> np.ndarray:
        """(side, side) uint8 coverage of a polygon."""
        mask = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(mask, [self.fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        return mask

    def blend(self, layer: np.ndarray, mask: np.ndarray) -> None:
        """Paints ``layer`` where ``mask`` (uint8 coverage) says."""
        x, y, width, height = cv2.boundingRect(mask)
        window = (slice(y, y + height), slice(x, x + width))
        weight = mask[window].astype(np.float32) * np.float32(1 / 255)
        self.canvas[window] = cv2.blendLinear(
            layer[window], self.canvas[window], weight, 1 - weight
        )


def _ellipse(
    centre: np.ndarray, radii: tuple[float, float], angle: float = 0.0, count: int = 40
) -> np.ndarray:
    """(count, 2) outline of an ellipse."""
    t = np.linspace(0, 2 * np.pi, count, endpoint=False)
    outline = np.stack([radii[0] * np.cos(t), radii[1] * np.sin(t)], 1)
    cosine, sine = np.cos(angle), np.sin(angle)
    return centre + outline @ np.array([[cosine, sine], [-sine, cosine]])


def _background(rng: np.random.Generator, painter: _Painter) -> None:
    side = painter.side
    half = side // 2
    # from grey to gaudy
    grey = rng.uniform(30, 220)
    base = (grey + rng.uniform(0, 60) * rng.uniform(-1, 1, 3)).astype(np.float32)
    clouds = _smooth_noise(rng, half, 5, 3)
    clouds += rng.uniform(0, 3) * clouds[..., :1]
    field = base + np.float32(rng.uniform(5, 20)) * clouds
    cells = int(rng.integers(12, 50))
    field += np.float32(rng.uniform(2, 20)) * _smooth_noise(rng, half, cells, 1)
    field = np.clip(field, 0, 255, out=field).astype(np.uint8)
    painter.canvas = cv2.resize(field, (side, side))
    size = side / _SUPERSAMPLING
    for _ in range(rng.integers(1, 6)):
        colour = rng.uniform(10, 245, 3)
        centre = rng.uniform(0, size, 2)
        kind = rng.integers(3)
        if kind == 0:
            radii = tuple(rng.uniform(0.05, 0.3, 2) * size)
            painter.fill(_ellipse(centre, radii, rng.uniform(0, 3)), colour)
        elif kind == 1:
            corners = centre + rng.uniform(-0.35, 0.35, (4, 2)) * size
            painter.fill(corners, colour)
        else:
            end = rng.uniform(0, size, 2)
            painter.line(np.stack([centre, end]), colour, rng.uniform(0.5, 5))


_SKIN_TONES = np.array(
    [  # BGR
        [180, 205, 240],
        [150, 185, 228],
        [120, 160, 210],
        [95, 135, 190],
        [70, 105, 160],
        [50, 75, 115],
        [40, 55, 85],
    ],
    np.float64,
)
_HAIR_TONES = np.array(
    [
        [20, 20, 25],
        [25, 35, 50],
        [35, 60, 90],
        [90, 150, 195],
        [40, 70, 140],
        [170, 170, 170],
    ],
    np.float64,
)


class FacePainter:
    """Paints one face, part by part, back to front.

    Args:
        rng: draws the face.
        image_size: side of the square image in pixels.
        moment: instead of the expression, pose and light that were drawn; the
            person stays the same.
    """

    def __init__(
        self,
        rng: np.random.Generator,
        image_size: int,
        moment: Moment | None = None,
    ) -> None:
        self.rng = rng
        self.image_size = image_size
        self.shape = _Shape(rng, moment and moment.expression)
        self.camera = _Camera(rng, self.shape.landmarks, image_size)
        if moment is not None:
            self.camera.turn(*moment.angles)
            self.camera.scale, self.camera.offset = moment.scale, moment.offset
        self.keypoints = self.camera.project(self.shape.landmarks)
        self.painter = _Painter(image_size)
        self.unit = self.camera.scale
        tone = rng.uniform(0, len(_SKIN_TONES) - 1)
        low = int(tone)
        high = min(low + 1, len(_SKIN_TONES) - 1)
        self.skin = _SKIN_TONES[low] + (tone - low) * (
            _SKIN_TONES[high] - _SKIN_TONES[low]
        )
        self.skin = self.skin * rng.uniform(0.92, 1.08, 3)
        tones = len(_HAIR_TONES) if self.skin.mean() > 120 else 3
        self.hair = _HAIR_TONES[rng.integers(tones)] * rng.uniform(0.8, 1.3, 3)
        self.male = rng.random() < 0.5
        light = rng.normal(0, 1, 3) * (0.8, 0.5, 0.2) + (0, -0.35, 1.0)
        if moment is not None:
            light = light * moment.light
        self.light = light / np.linalg.norm(light)

    def place(self, points: np.ndarray, both: bool = False) -> list[np.ndarray]:
        """Projected curve and, if ``both``, its mirror image's projection first."""
        placed = [self.camera.project(points)]
        if both:
            placed.insert(0, self.camera.project(_mirrored(points)))
        return placed

    def paint(
        self, streams: Callable[[int], np.random.Generator] | None = None
    ) -> None:
        """Draw everything.

        Args:
            streams: gives each part, by number, its own random numbers. A part then
                looks the same whatever the others needed: frames of a video.
        """
        parts = (
            self._background,
            self._shade,
            self._head,
            self._nose,
            self._eyes,
            self._mouth,
            self._brows,
            self._front_hair,
            self._glasses,
        )
        for number, part in enumerate(parts):
            if streams is not None:
                self.rng = streams(number)
            part()

    def _background(self) -> None:
        _background(self.rng, self.painter)

    # the light on the skin, on a coarse grid: soft shadows cost almost nothing

    def _shade(self) -> None:
        rng, side = self.rng, self.painter.side
        cells = side // _SHADE_STEP
        step = _SHADE_STEP / _SUPERSAMPLING
        ticks = (np.arange(cells, dtype=np.float32) + 0.5) * step - 0.5
        centre = self.camera.project(np.array([[0.0, 0.7, 0.0]]))[0]
        roll = self.camera.rotation[:2, 1] / np.linalg.norm(self.camera.rotation[:2, 1])
        dx = (ticks[None, :] - centre[0]) / self.unit
        dy = (ticks[:, None] - centre[1]) / self.unit
        nx = (dx * roll[1] - dy * roll[0]) / 1.9
        ny = (dx * roll[0] + dy * roll[1]) / 2.6
        nz = np.sqrt(np.clip(1 - nx**2 - ny**2, 0.02, 1))
        lambert = np.clip(
            nx * self.light[0] + ny * self.light[1] + nz * self.light[2], 0, None
        )
        ambient = rng.uniform(0.35, 0.75)
        shade = ambient + (1.12 - ambient) * lambert

        def soft(points: np.ndarray, amount: float, blur: float) -> None:
            """Adds a blurred patch of light (> 0) or shadow (< 0)."""
            patch = np.zeros((cells, cells), np.float32)
            scaled = (points + 0.5) / step - 0.5
            fixed = np.round(scaled * (1 << _SHIFT)).astype(np.int32)
            cv2.fillPoly(patch, [fixed], 1.0, cv2.LINE_8, _SHIFT)
            sigma = blur * self.unit / step
            patch = cv2.GaussianBlur(patch, (0, 0), max(sigma, 0.5))
            np.add(shade, amount * patch, out=shade)

        contrast = rng.uniform(0.6, 1.3)
        for eye in self.place(self.shape.eye_centre[None], both=True):
            outline = _ellipse(eye[0], (0.42 * self.unit, 0.25 * self.unit))
            soft(outline, -0.16 * contrast, 0.12)
        bridge, base = self.shape.bridge, self.shape.nose_base
        dark_side = 1.0 if self.light[0] < 0 else -1.0
        flank = base[4] if dark_side > 0 else base[0]
        side_patch = np.stack(
            [bridge[0], bridge[3], flank, bridge[1] + (0.2 * dark_side, 0, -0.2)]
        )
        soft(self.camera.project(side_patch), -0.28 * contrast, 0.06)
        light_side = side_patch * (-1, 1, 1)
        soft(self.camera.project(light_side), 0.06 * contrast, 0.06)
        under_nose = np.concatenate([base, base[::-1] + (0, 0.14, -0.1)])
        soft(self.camera.project(under_nose), -0.22 * contrast, 0.05)
        tip = self.camera.project(bridge[3:])[0]
        soft(_ellipse(tip, (0.1 * self.unit,) * 2), 0.2 * contrast, 0.05)
        lower_lip = self.shape.landmarks[[55, 56, 57, 58, 59]]
        under_lip = np.concatenate([lower_lip, lower_lip[::-1] + (0, 0.14, -0.05)])
        soft(self.camera.project(under_lip), -0.16 * contrast, 0.05)
        if self.shape.smile > 0.3:
            for sign in (-1, 1):
                corner = self.shape.landmarks[54] * (sign, 1, 1)
                wing = base[4] * (sign, 1, 1)
                fold = np.stack(
                    [
                        wing,
                        (wing + corner) / 2 + (0.2 * sign, 0, 0),
                        corner + (0.12 * sign, 0, 0),
                        (wing + corner) / 2 + (0.14 * sign, 0, 0),
                    ]
                )
                soft(self.camera.project(fold), -0.2 * contrast, 0.03)
        shade += 0.03 * _smooth_noise(rng, cells, 9, 1)[..., 0]
        shade += 0.02 * _smooth_noise(rng, cells, cells // 2, 1)[..., 0]
        tint = np.ones((cells, cells, 3), np.float32)
        if self.male and rng.random() < 0.45:
            self._beard(tint, step)
        self.shade_grid = shade
        layer = (np.clip(shade, 0.1, 1.4)[..., None] * tint * self.skin).astype(
            np.float32
        )
        layer = cv2.resize(layer, (side // 2, side // 2))
        grain = rng.standard_normal((side // 2, side // 2, 1), dtype=np.float32)
        layer += np.float32(rng.uniform(0.01, 0.035) * self.skin.mean()) * grain
        layer = np.clip(layer, 0, 255, out=layer).astype(np.uint8)
        self.skin_layer = cv2.resize(layer, (side, side))

    def _beard(self, tint: np.ndarray, step: float) -> None:
        cells = len(tint)
        jaw = self.shape.jaw
        low = jaw[jaw[:, 1] > 0.9]
        top = np.array([[0.95, 1.2, 0], [0.5, 1.25, 0.2], [0.0, 1.22, 0.3]])
        top = np.concatenate([top, _mirrored(top[-2::-1])])
        outline = self.camera.project(np.concatenate([low, top]))
        patch = np.zeros((cells, cells), np.float32)
        fixed = np.round(((outline + 0.5) / step - 0.5) * (1 << _SHIFT))
        cv2.fillPoly(patch, [fixed.astype(np.int32)], 1.0, cv2.LINE_8, _SHIFT)
        patch = cv2.GaussianBlur(patch, (0, 0), max(0.1 * self.unit / step, 0.5))
        grain = 1 + 0.15 * self.rng.standard_normal((cells, cells), dtype=np.float32)
        amount = np.clip(self.rng.uniform(0.15, 0.7) * patch * grain, 0, 1)[..., None]
        tint *= 1 - amount
        tint += amount * (self.hair / self.skin)

    def lit(self, colour: np.ndarray, where: np.ndarray) -> np.ndarray:
        """A colour under the light at an image position (2,)."""
        step = _SHADE_STEP / _SUPERSAMPLING
        last = len(self.shade_grid) - 1
        x, y = (min(max(int(value / step), 0), last) for value in where)
        light = min(max(float(self.shade_grid[y, x]), 0.25), 1.3)
        return np.minimum(colour * light, 255)

    # parts

    def _head(self) -> None:
        rng, shape, painter = self.rng, self.shape, self.painter
        cranium = self.camera.project(np.array([[0.0, -0.45, -0.8]]))[0]
        down = self.camera.rotation[:2, 1]
        radius = (shape.width + rng.uniform(0.15, 0.45)) * self.unit
        self.bald = self.male and rng.random() < 0.15
        hair = self.hair * rng.uniform(0.5, 0.8)
        if not self.bald:
            painter.fill(_ellipse(cranium, (radius, radius * 1.08)), hair)
        if not self.male and rng.random() < 0.7:
            length = rng.uniform(1.5, 3.5)
            half = shape.width + rng.uniform(0.1, 0.5)
            curtain = np.array(
                [
                    [-half, -0.6, -0.9],
                    [half, -0.6, -0.9],
                    [half + 0.2, length, -0.9],
                    [-half - 0.2, length, -0.9],
                ]
            )
            painter.fill(self.camera.project(curtain), hair)

        def skin(darkness: float) -> np.ndarray:
            return cv2.convertScaleAbs(self.skin_layer, alpha=darkness)

        # neck and clothes hang from the head, along the image's vertical
        chin = self.keypoints[8]
        half = (0.85 if not self.male else 1.0) * self.unit * rng.uniform(0.9, 1.1)
        root = cranium + down * 1.6 * self.unit
        base = np.array([root[0], chin[1] + rng.uniform(0.35, 0.9) * self.unit])
        neck = np.stack(
            [
                root + (-half, 0),
                root + (half, 0),
                base + (half * 1.15, 0),
                base + (half * 1.6, 4 * self.unit),
                base + (-half * 1.6, 4 * self.unit),
                base + (-half * 1.15, 0),
            ]
        )
        neck_tone = rng.uniform(0.55, 0.9)
        painter.blend(skin(neck_tone), painter.mask(neck))
        shoulders = np.stack(
            [
                base + (-half * 1.2, 0.1 * self.unit),
                base + (0, rng.uniform(0.2, 0.8) * self.unit),
                base + (half * 1.2, 0.1 * self.unit),
                base + (3.2 * self.unit, 1.2 * self.unit),
                base + (3.2 * self.unit, 5 * self.unit),
                base + (-3.2 * self.unit, 5 * self.unit),
                base + (-3.2 * self.unit, 1.2 * self.unit),
            ]
        )
        painter.fill(shoulders, rng.uniform(15, 235, 3))

        # ears hang where the jaw curve begins: their lobes tell where that is
        ear_tone = rng.uniform(0.8, 0.98)
        angle = np.arctan2(-down[0], down[1])
        for sign in (-1, 1):
            at = np.array([[sign * (shape.width + 0.06), shape.ear_y + 0.22, -0.72]])
            ear = self.camera.project(at)[0]
            outline = _ellipse(
                ear,
                (0.24 * self.unit, 0.48 * self.unit),
                angle + 0.12 * sign,
            )
            painter.fill(outline, self.lit(self.skin * ear_tone, ear))
            inner = _ellipse(ear, (0.11 * self.unit, 0.28 * self.unit), angle)
            painter.fill(inner, self.lit(self.skin * ear_tone * 0.75, ear))

        # the sides of the head behind the jaw line
        lower = shape.jaw[np.abs(shape.jaw[:, 0]) > 0.2]
        behind = lower * (0.97, 1.0, 1.0) + (0, -0.12, -0.55)
        hull = cv2.convexHull(
            self.camera.project(np.concatenate([lower, behind])).astype(np.float32)
        )[:, 0]
        painter.blend(skin(rng.uniform(0.72, 0.95)), painter.mask(hull))

        # the face itself: jaw curve closed by the forehead
        t = np.linspace(0, np.pi, 60)[1:-1]
        forehead = np.stack(
            [
                shape.width * np.cos(t),
                shape.ear_y - shape.forehead * np.sin(t) ** 0.9,
                -0.57 + 0.5 * np.sin(t),
            ],
            1,
        )
        self.forehead = forehead
        outline = self.camera.project(np.concatenate([shape.jaw, forehead]))
        mask = painter.mask(outline)
        softness = rng.uniform(0.3, 1.2) * _SUPERSAMPLING
        mask = cv2.GaussianBlur(mask, (0, 0), softness)
        painter.blend(skin(1.0), mask)
        edge = self.camera.project(shape.jaw)
        if rng.random() < 0.5:
            painter.line(edge, self.lit(self.skin * 0.8, edge[80]), 0.5)

    def _nose(self) -> None:
        painter, shape = self.painter, self.shape
        dark = self.lit(self.skin * 0.55, self.keypoints[33])
        base = self.keypoints[31:36]
        for outer, inner in ((0, 1), (4, 3)):
            nostril = 0.35 * base[outer] + 0.65 * base[inner]
            painter.fill(
                _ellipse(nostril, (0.085 * self.unit, 0.045 * self.unit)), dark * 0.6
            )
        for sign, landmark in ((-1, 31), (1, 35)):
            x, y, z = shape.nose_base[4]
            wing = np.array(
                [
                    [x * 0.92, y - 0.24, z],
                    [x * 1.12, y - 0.12, z],
                    [x * 1.08, y - 0.02, z],
                    [x, y, z],
                ]
            ) * (sign, 1, 1)
            tone = self.lit(self.skin * 0.68, self.keypoints[landmark])
            painter.line(self.camera.project(wing), tone, 0.025 * self.unit)
        curve = LandmarkCurve(base, closed=False).dense
        painter.line(curve, self.lit(self.skin * 0.66, base[2]), 0.03 * self.unit)

    def _eyes(self) -> None:
        rng, painter, shape = self.rng, self.painter, self.shape
        iris_colour = np.array(
            [[60, 40, 25], [20, 45, 80], [40, 70, 95], [140, 110, 70], [110, 130, 90]]
        )[rng.integers(5)] * rng.uniform(0.6, 1.3)
        lid_width = rng.uniform(0.02, 0.055) * self.unit
        uppers = self.place(shape.eye_upper, both=True)
        lowers = self.place(shape.eye_lower, both=True)
        for sign, upper, lower in zip((-1, 1), uppers, lowers, strict=True):
            outline = np.concatenate([upper, lower[::-1]])
            middle = outline.mean(0)
            crease = shape.eye_upper * (sign, 1, 1) + (0, -0.1, 0)
            painter.line(
                self.camera.project(crease[4:-4]),
                self.lit(self.skin * 0.72, middle),
                0.025 * self.unit,
            )
            corner = np.floor(
                painter.fixed(outline.min(0)[None])[0] / (1 << _SHIFT) - 4
            ).astype(int)
            end = np.ceil(
                painter.fixed(outline.max(0)[None])[0] / (1 << _SHIFT) + 5
            ).astype(int)
            window = (slice(corner[1], end[1]), slice(corner[0], end[0]))
            behind = painter.canvas[window].copy()
            mask = painter.mask(outline)[window][..., None].astype(np.float32) / 255
            painter.fill(
                outline + (outline - middle) * 0.2,
                self.lit(np.array([215.0, 218.0, 225.0]), middle),
            )
            centre = shape.eye_centre * (sign, 1, 1) + (*shape.gaze, 0.1)
            iris = self.camera.project(centre[None])[0]
            radius = shape.iris_radius * self.unit
            painter.fill(
                _ellipse(iris, (radius, radius)), self.lit(iris_colour, middle)
            )
            painter.fill(
                _ellipse(iris, (radius * 0.45,) * 2), np.array([12.0, 12.0, 12.0])
            )
            glint = iris + np.array([self.light[0], self.light[1]]) * radius * 0.5
            painter.fill(
                _ellipse(glint, (radius * 0.2,) * 2, count=10), np.full(3, 245)
            )
            blended = behind + (painter.canvas[window] - behind.astype(np.float32)) * (
                mask
            )
            painter.canvas[window] = blended.astype(np.uint8)
            painter.line(lower, self.lit(self.skin * 0.6, middle), 0.02 * self.unit)
            painter.line(
                upper, self.lit(np.array([25.0, 28.0, 35.0]), middle), lid_width
            )

    def _mouth(self) -> None:
        rng, painter = self.rng, self.painter
        outer = LandmarkCurve(self.keypoints[48:60], closed=True).dense[:-1]
        inner = LandmarkCurve(self.keypoints[60:68], closed=True).dense[:-1]
        middle = self.keypoints[62]
        red = self.skin * np.array([0.72, 0.66, 0.9]) * rng.uniform(0.75, 1.05)
        if not self.male and rng.random() < 0.5:
            red = red * 0.5 + 0.5 * np.array([70, 50, 175]) * rng.uniform(0.6, 1.1)
        lips = self.lit(red, middle)
        painter.fill(outer, lips * 0.9)
        steps = LandmarkCurve.STEPS
        lower_lip = np.concatenate([outer[6 * steps :], outer[:1]])
        painter.fill(lower_lip, np.clip(lips * 1.08, 0, 255))
        painter.line(outer, lips * 0.85, 0.4, closed=True)
        painter.fill(inner, self.lit(np.array([25.0, 20.0, 50.0]), middle))
        if self.shape.opening > 0.05 and rng.random() < 0.8:
            upper = inner[: 4 * steps + 1]
            height = 0.6 * self.shape.opening
            drop = self.camera.rotation[:2, 1] * self.unit * min(height, 0.14)
            teeth = np.concatenate([upper, upper[::-1] + drop])
            mask = cv2.bitwise_and(painter.mask(teeth), painter.mask(inner))
            colour = self.lit(np.array([205.0, 220.0, 228.0]), middle)
            painter.canvas[mask > 127] = colour.astype(np.uint8)
        seam = self.lit(red * 0.42, middle)
        painter.line(inner, seam, 0.02 * self.unit, closed=True)

    def _brows(self) -> None:
        rng, painter, shape = self.rng, self.painter, self.shape
        colour = self.hair * rng.uniform(0.5, 0.9)
        strength = rng.uniform(0.55, 1.0)
        taper = np.sin(np.pi * np.linspace(0.08, 1, len(shape.brow))) ** 0.5
        drop = np.stack([0 * taper, shape.brow_thickness * taper, 0 * taper], 1)
        tops = self.place(shape.brow, both=True)
        bottoms = self.place(shape.brow + drop, both=True)
        for top, bottom in zip(tops, bottoms, strict=True):
            middle = top[20]
            tone = strength * colour + (1 - strength) * self.skin
            painter.fill(np.concatenate([top, bottom[::-1]]), self.lit(tone, middle))
            for start in range(2, len(top) - 6, 5):
                a, b = bottom[start], top[start + 5]
                hair = self.lit(tone * rng.uniform(0.6, 1.3), middle)
                painter.line(np.stack([a, b]), hair, 0.5)

    def _front_hair(self) -> None:
        if self.bald:
            return
        rng, painter = self.rng, self.painter
        forehead = self.forehead
        line = rng.uniform(-1.25, -0.72)
        slant = rng.uniform(-0.25, 0.25)
        x = np.linspace(1.02, -1.02, 13)
        bend = rng.uniform(0.15, 0.9)
        y = line + bend * np.abs(x) ** 3 + slant * x + rng.normal(0, 0.05, 13)
        y = np.clip(y, None, self.shape.ear_y - 0.1)
        z = 0.1 - 0.6 * np.abs(x) ** 2
        hairline = np.stack([x * self.shape.width, y, z], 1)
        top = forehead * (1.1, 1.14, 1.0) + (0, 0, -0.05)
        outline = np.concatenate([top, hairline[::-1]])
        placed = self.camera.project(outline)
        painter.fill(placed, self.hair)
        crown = self.camera.project(top)
        roots = self.camera.project(hairline)[::-1]
        for _ in range(14):
            a = crown[::-1][rng.integers(len(crown))]
            b = roots[rng.integers(len(roots))]
            if np.linalg.norm(a - b) < 1.1 * self.unit:
                tone = np.clip(self.hair * rng.uniform(0.6, 1.6), 0, 255)
                painter.line(np.stack([a, b]), tone, 0.5)

    def _glasses(self) -> None:
        rng, painter, shape = self.rng, self.painter, self.shape
        if rng.random() >= 0.15:
            return
        colour = rng.uniform(5, 90, 3)
        width = rng.uniform(0.03, 0.08) * self.unit
        radii = (rng.uniform(0.42, 0.5), rng.uniform(0.3, 0.42))
        centre = shape.eye_centre + (0, 0.05, 0.25)
        t = np.linspace(0, 2 * np.pi, 32, endpoint=False)
        power = rng.uniform(0.5, 1.0)
        rim = np.zeros((32, 3))
        rim[:, 0] = radii[0] * np.sign(np.cos(t)) * np.abs(np.cos(t)) ** power
        rim[:, 1] = radii[1] * np.sign(np.sin(t)) * np.abs(np.sin(t)) ** power
        for placed in self.place(rim + centre, both=True):
            painter.line(placed, colour, width, closed=True)
        bar = np.array([[centre[0] - radii[0], 0.0, centre[2]]])
        painter.line(np.concatenate(self.place(bar, both=True)), colour, width)
        for sign in (-1, 1):
            temple = np.array(
                [
                    [centre[0] + radii[0], centre[1], centre[2]],
                    [shape.width + 0.04, shape.ear_y - 0.05, -0.6],
                ]
            ) * (sign, 1, 1)
            painter.line(self.camera.project(temple), colour, width)

    def occlude(self) -> np.ndarray:
        """Hides part of the face; returns the landmarks it hides, (68,) bool."""
        rng, painter = self.rng, self.painter
        low, high = self.keypoints.min(0), self.keypoints.max(0)
        kind = rng.integers(3)
        outlines = []
        if kind == 0:  # an object
            centre = rng.uniform(low, high)
            radii = rng.uniform(0.25, 0.85, 2) * self.unit
            angle = rng.uniform(0, np.pi)
            if rng.random() < 0.5:
                outlines.append(_ellipse(centre, tuple(radii), angle))
            else:
                outlines.append(_ellipse(centre, tuple(radii * 1.2), angle, 4))
            colours = [rng.uniform(10, 245, 3)]
        elif kind == 1:  # a hand that reaches in from below or from a side
            aim = self.keypoints[rng.integers(0, 17)]
            angle = rng.uniform(-0.9, 0.9) + np.pi / 2
            back = np.array([np.cos(angle), np.sin(angle)]) * self.unit
            across = np.array([-back[1], back[0]])
            tone = self.skin * rng.uniform(0.75, 1.05)
            colours = []
            outlines.append(
                _ellipse(aim + back * 1.3, (1.4 * self.unit, 0.55 * self.unit), angle)
            )
            colours.append(tone)
            for finger in range(4):
                at = aim + across * (finger - 1.5) * 0.27
                at = at + back * rng.uniform(0.0, 0.2)
                outlines.append(
                    _ellipse(at, (0.5 * self.unit, 0.14 * self.unit), angle)
                )
                colours.append(tone * rng.uniform(0.85, 1.05))
        else:  # a lock of hair over one side
            side = rng.choice([-1.0, 1.0])
            inner = rng.uniform(0.75, 1.2)
            lock = np.array(
                [
                    [0.3, -1.7, 0.0],
                    [inner, -0.9, 0.1],
                    [inner + 0.1, 0.4, 0.1],
                    [inner + 0.25, rng.uniform(1.2, 2.6), 0.0],
                    [2.0, 2.0, -0.4],
                    [2.0, -0.8, -0.4],
                ]
            ) * (side, 1, 1)
            outlines.append(self.camera.project(lock))
            colours = [self.hair]
        hidden = np.zeros((painter.side, painter.side), np.uint8)
        texture = rng.uniform(3, 18) * _smooth_noise(
            rng, painter.side // 2, int(rng.integers(10, 60)), 1
        )
        for outline, colour in zip(outlines, colours, strict=True):
            painter.fill(outline, np.clip(colour, 0, 255))
            cv2.bitwise_or(hidden, painter.mask(outline), dst=hidden)
        texture = cv2.resize(texture, (painter.side,) * 2)
        covered = hidden > 127
        painter.canvas[covered] = np.clip(
            painter.canvas[covered] + texture[covered][:, None], 0, 255
        ).astype(np.uint8)
        at = np.round(painter.fixed(self.keypoints) / (1 << _SHIFT)).astype(int)
        x, y = np.clip(at, 0, painter.side - 1).T
        return covered[y, x]


def develop(
    rng: np.random.Generator,
    canvas: np.ndarray,
    size: int,
    grain_rng: np.random.Generator | None = None,
) -> np.ndarray:
    """Canvas to photograph: resolution, blur, exposure, sensor noise, compression.

    ``grain_rng`` draws the sensor's noise alone, which differs between frames of one
    camera.
    """
    image = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_AREA)
    blur = rng.uniform(0.0, 0.7)
    if rng.random() < 0.15:
        blur += rng.uniform(0.3, 1.3) * size / 160
    if blur > 0.25:
        image = cv2.GaussianBlur(image, (0, 0), blur)
    gain = rng.uniform(0.75, 1.2) * rng.uniform(0.94, 1.06, 3)
    bias = rng.uniform(-15, 15)
    grain_rng = rng if grain_rng is None else grain_rng
    grain = grain_rng.standard_normal((size, size, 3), dtype=np.float32)
    noisy = image * gain.astype(np.float32) + np.float32(bias)
    noisy += np.float32(rng.gamma(2.0, 1.6)) * grain
    image = np.clip(noisy, 0, 255).astype(np.uint8)
    if rng.random() < 0.08:
        image = cv2.cvtColor(
            cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR
        )
    quality = int(rng.integers(45, 96))
    _, jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(jpeg, cv2.IMREAD_COLOR)
