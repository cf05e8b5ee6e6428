"""Samplers of data sets; importing this package registers them into MMPose."""

from .video_shuffle_sampler import VideoShuffleSampler

__all__ = ["VideoShuffleSampler"]
