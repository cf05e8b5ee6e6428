"""The samplers that are registered into MMPretrain."""

from .identity_balanced_sampler import IdentityBalancedSampler

__all__ = ["IdentityBalancedSampler"]
