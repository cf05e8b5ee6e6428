"""The necks that are registered into MMPretrain."""

from .tracklet_pooling import TrackletPooling

__all__ = ["TrackletPooling"]
