"""Smooth curves through 68-point landmarks, measured by arc length."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from .landmarks import PARTS_68


class LandmarkCurve:
    """A smooth curve through landmarks: a Catmull-Rom spline, by arc length.

    An open curve is continued straight beyond its ends.

    Args:
        points: ``(K, 2)`` landmarks in order.
        closed: Whether the last landmark is joined to the first.
    """

    STEPS = 32

    def __init__(self, points: np.ndarray, closed: bool) -> None:
        points = np.asarray(points, dtype=np.float64)
        if closed:
            nodes = np.concatenate([points[-1:], points, points[:2]])
        else:
            # quadratic continuation by one node
            first = 3 * points[0] - 3 * points[1] + points[2]
            last = 3 * points[-1] - 3 * points[-2] + points[-3]
            nodes = np.concatenate([first[None], points, last[None]])
        p0, p1, p2, p3 = nodes[:-3], nodes[1:-2], nodes[2:-1], nodes[3:]
        t = np.arange(self.STEPS)[:, None, None] / self.STEPS
        pieces = 0.5 * (
            2 * p1
            + (p2 - p0) * t
            + (2 * p0 - 5 * p1 + 4 * p2 - p3) * t**2
            + (3 * p1 - p0 - 3 * p2 + p3) * t**3
        )
        dense = pieces.transpose(1, 0, 2).reshape(-1, 2)
        self.dense = np.concatenate([dense, p2[-1:]])
        steps = np.linalg.norm(np.diff(self.dense, axis=0), axis=1)
        self.closed = closed
        self.arc = np.concatenate([[0.0], np.cumsum(steps)])
        self.landmark_arc = self.arc[:: self.STEPS][: len(points)]

    def at(self, arc: np.ndarray) -> np.ndarray:
        """Return the points ``(N, 2)`` at arc lengths ``(N,)``, from the first one."""
        length = self.arc[-1]
        inside = np.mod(arc, length) if self.closed else np.clip(arc, 0, length)
        points = np.stack(
            [np.interp(inside, self.arc, self.dense[:, axis]) for axis in (0, 1)], 1
        )
        if not self.closed:
            points += (arc - inside)[:, None] * self.tangent(inside)
        return points

    def tangent(self, arc: np.ndarray) -> np.ndarray:
        """Return unit tangents ``(N, 2)`` at arc lengths ``(N,)`` within the curve."""
        reach = self.arc[-1] * 1e-3
        if self.closed:
            before, after = arc - reach, arc + reach
            chord = self.at(after) - self.at(before)
        else:
            before = np.clip(arc - reach, 0, self.arc[-1])
            after = np.clip(arc + reach, 0, self.arc[-1])
            chord = np.stack(
                [
                    np.interp(after, self.arc, self.dense[:, axis])
                    - np.interp(before, self.arc, self.dense[:, axis])
                    for axis in (0, 1)
                ],
                1,
            )
        return chord / np.maximum(np.linalg.norm(chord, axis=1, keepdims=True), 1e-12)


def landmark_curves(
    keypoints: np.ndarray, parts: Iterable[str] = tuple(PARTS_68)
) -> list[tuple[slice, LandmarkCurve]]:
    """Return the smooth curves of a 68-point face, part by part.

    Args:
        keypoints: ``(68, 2)`` in pixels.
        parts: Names of :data:`~semamb_mm.faces.landmarks.PARTS_68`. Defaults to all.

    Returns:
        For each part the slice of its landmarks and their curve.
    """
    return [
        (part.span, LandmarkCurve(keypoints[part.span], part.closed))
        for part in map(PARTS_68.__getitem__, parts)
    ]
