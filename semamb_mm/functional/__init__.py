"""The papers' mathematics: tensors in, tensors out. Imports torch only."""

from .alignment import (
    chi_square_loss,
    chi_square_map,
    curve_tangents,
    gaussian_patch,
    pearson_chi_square,
    search_latent_targets,
)

__all__ = [
    "chi_square_loss",
    "chi_square_map",
    "curve_tangents",
    "gaussian_patch",
    "pearson_chi_square",
    "search_latent_targets",
]
