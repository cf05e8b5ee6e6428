"""Curves that landmarks lie on, such as a face's contour."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .devices import send


def curve_tangents(
    points: Tensor,
    curves: Sequence[Sequence[int]],
    visible: Tensor | None = None,
) -> Tensor:
    """Return the directions of landmarks' curves, by central differences.

    A landmark's tangent joins its two neighbours on its curve; at a curve's
    end, or next to a landmark that is not visible, it joins the landmark
    itself and the one neighbour left.

    Args:
        points: ``(B, K, 2)`` float ``(x, y)``.
        curves: Landmark indices of each open curve, in order. A landmark is
            on one curve at most.
        visible: ``(B, K)``; points with 0 are not looked at.

    Returns:
        ``(B, K, 2)`` unit vectors; zero for landmarks that are on no curve,
        not visible, or whose neighbours all are not visible or coincide.

    Raises:
        ValueError: If an index is out of range or on two curves.

    Example:
        >>> points = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [2.0, 5.0]]])
        >>> curve_tangents(points, [[0, 1]])[0].tolist()
        [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    members = [int(k) for curve in curves for k in curve]
    wrong = [k for k in members if not 0 <= k < points.shape[1]]
    if wrong or len(set(members)) != len(members):
        raise ValueError(
            f"curves must hold each of the {points.shape[1]} landmarks once at most, "
            f"got {[list(curve) for curve in curves]}"
        )
    seen = torch.isfinite(points).all(dim=-1)
    if visible is not None:
        seen = seen & (visible > 0)
    tangents = torch.zeros_like(points)
    for curve in curves:
        index = send(torch.tensor(list(curve), dtype=torch.long), points.device)
        here, shown = points[:, index], seen[:, index, None]
        before = torch.cat((here[:, :1], here[:, :-1]), dim=1)
        after = torch.cat((here[:, 1:], here[:, -1:]), dim=1)
        before_shown = torch.cat((shown[:, :1], shown[:, :-1]), dim=1)
        after_shown = torch.cat((shown[:, 1:], shown[:, -1:]), dim=1)
        chord = torch.where(after_shown, after, here)
        chord = chord - torch.where(before_shown, before, here)
        tangents[:, index] = torch.where(shown, chord, 0)
    length = tangents.norm(dim=-1, keepdim=True)
    return torch.where(length > 0, tangents / length, 0)


def landmark_axes(
    points: Tensor, curves: Sequence[Sequence[int]], seen: Tensor
) -> Tensor:
    """Return the first of each landmark's axes: the tangent of its curve, or x.

    The second axis, across, is a quarter turn on.

    Args:
        points: ``(N, K, 2)``, finite where seen.
        curves: See :func:`curve_tangents`.
        seen: ``(N, K)`` bool.

    Returns:
        ``(N, K, 2)`` unit vectors.
    """
    on_curve = [k for curve in curves for k in curve]
    along = torch.zeros_like(points)
    along[..., 0] = 1
    tangents = curve_tangents(points, curves, seen)[:, on_curve]
    known = tangents.any(-1, keepdim=True)
    along[:, on_curve] = torch.where(known, tangents, along[:, on_curve])
    return along


def to_axes(vectors: Tensor, along: Tensor) -> Tensor:
    """Return ``(..., 2)`` vectors ``(x, y)`` as (along, across)."""
    (x, y), (right, down) = along.unbind(-1), vectors.unbind(-1)
    return torch.stack((x * right + y * down, x * down - y * right), -1)


def from_axes(vectors: Tensor, along: Tensor) -> Tensor:
    """Return ``(..., 2)`` vectors (along, across) as ``(x, y)``."""
    (x, y), (first, second) = along.unbind(-1), vectors.unbind(-1)
    return torch.stack((x * first - y * second, y * first + x * second), -1)
