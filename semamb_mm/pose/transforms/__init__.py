from .load_latent_targets import LoadLatentTargets

__all__ = ["LoadLatentTargets"]
