"""Checks of arguments that several formulas share."""

from __future__ import annotations

import torch
from torch import Tensor


def check_positive(name: str, value: float) -> None:
    """Refuse 0, negative numbers and NaN."""
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")


def check_radius(name: str, value: int) -> None:
    """Refuse what is no number of cells."""
    if int(value) != value or value < 0:
        raise ValueError(f"{name} must be a non-negative integer, got {value}")


def check_heatmaps(heatmaps: Tensor, points: Tensor) -> None:
    """Refuse heatmaps that are not ``(B, K, H, W)`` and points not ``(B, K, 2)``."""
    if heatmaps.dim() != 4 or not heatmaps.is_floating_point():
        raise ValueError(
            "heatmaps must be a floating-point tensor (B, K, H, W), got "
            f"{heatmaps.dtype} {tuple(heatmaps.shape)}"
        )
    expected = (*heatmaps.shape[:2], 2)
    if tuple(points.shape) != expected:
        raise ValueError(
            f"expected {expected} (x, y) positions for heatmaps of shape "
            f"{tuple(heatmaps.shape)}, got {tuple(points.shape)}"
        )


def which_count(points: Tensor, visible: Tensor | None) -> Tensor:
    """Return which of ``points (N, K, 2)`` are visible: ``(N, K)`` bool."""
    if visible is None:
        return torch.ones(points.shape[:2], dtype=torch.bool, device=points.device)
    if visible.shape != points.shape[:2]:
        raise ValueError(
            f"visible must be {tuple(points.shape[:2])}, got {tuple(visible.shape)}"
        )
    return visible > 0


def first_not_finite(points: Tensor, seen: Tensor) -> tuple[int, int] | None:
    """Return sample and landmark of the first of ``points`` seen, but not finite."""
    wrong = (seen & ~torch.isfinite(points).all(-1)).nonzero()
    if not len(wrong):
        return None
    sample, landmark = wrong[0].tolist()
    return sample, landmark
