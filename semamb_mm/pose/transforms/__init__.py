from .degrade_faces import RandomFaceOcclusion, RandomLowQuality
from .load_latent_targets import LoadLatentTargets

__all__ = ["LoadLatentTargets", "RandomFaceOcclusion", "RandomLowQuality"]
