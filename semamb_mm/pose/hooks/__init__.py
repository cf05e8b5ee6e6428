from .latent_target_hook import LatentTargetHook

__all__ = ["LatentTargetHook"]
