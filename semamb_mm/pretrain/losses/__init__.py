"""The losses that are registered into MMPretrain."""

from .osm_caa_loss import OSMCAALoss

__all__ = ["OSMCAALoss"]
