"""The samplers that are registered into MMPretrain."""

from .identity_balanced_sampler import (
    IdentityBalancedBatchSampler,
    IdentityBalancedSampler,
)

__all__ = ["IdentityBalancedBatchSampler", "IdentityBalancedSampler"]
