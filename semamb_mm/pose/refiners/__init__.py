"""Refiners: what corrects the landmarks that a detector fails on."""

from .ghcu import GHCU
from .heatmap_failures import HeatmapFailures

__all__ = ["GHCU", "HeatmapFailures"]
