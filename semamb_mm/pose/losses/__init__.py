"""Losses of heatmaps."""

from .chi_square_heatmap_loss import ChiSquareHeatmapLoss

__all__ = ["ChiSquareHeatmapLoss"]
