"""Transforms of pipelines: latent targets, degraded faces, upright faces."""

from .degrade_faces import RandomFaceOcclusion, RandomLowQuality
from .load_latent_targets import LoadLatentTargets
from .normalize_roll import NormalizeRoll

__all__ = [
    "LoadLatentTargets",
    "NormalizeRoll",
    "RandomFaceOcclusion",
    "RandomLowQuality",
]
