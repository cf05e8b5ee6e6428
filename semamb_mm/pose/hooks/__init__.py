from .latent_target_hook import LatentTargetHook
from .latent_target_visualization_hook import LatentTargetVisualizationHook

__all__ = ["LatentTargetHook", "LatentTargetVisualizationHook"]
