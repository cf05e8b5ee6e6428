"""Backbones that MMPose does not have."""

from .slim_hourglass import SlimHourglassNet

__all__ = ["SlimHourglassNet"]
