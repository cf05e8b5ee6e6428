"""Hooks; importing this package registers them into MMPose."""

from .latent_target_hook import LatentTargetHook
from .latent_target_visualization_hook import LatentTargetVisualizationHook

__all__ = ["LatentTargetHook", "LatentTargetVisualizationHook"]
