"""The heads that are registered into MMPretrain."""

from .osm_caa_head import OSMCAAHead

__all__ = ["OSMCAAHead"]
