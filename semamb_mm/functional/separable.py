"""Semantic alignment's search where a head gives one distribution per axis.

SimCC (Li et al., ECCV 2022, arXiv 2107.03332) and RTMPose (arXiv 2303.07399) predict,
per landmark, a distribution along x and one along y. The heatmap that they stand for is
the outer product, ``H[y, x] = h_y[y] h_x[x]``, and so is the ideal Gaussian. Pearson's
chi-square of a patch then needs sums along one axis only::

    chi2(y) = sum E - 2 (sum Phi_x) (sum Phi_y)
              + (sum Phi_x^2 / E_x) (sum Phi_y^2 / E_y)

Symbols as in :mod:`~semamb_mm.functional.search`; a cell is called a bin here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from ._checks import check_heatmaps, check_positive
from .chi_square import ChiSquareFilters, without_autocast
from .devices import send
from .search import search_filtered


def search_separable_targets(
    profiles: tuple[Tensor, Tensor],
    observed: Tensor,
    *,
    search_radius: int = 8,
    patch_radius: int,
    sigma: float | tuple[float, float],
    sigma_prior: float | Sequence[float],
    sigma_likelihood: float | Sequence[float],
    visible: Tensor | None = None,
    subcell: str = "none",
    tangents: Tensor | None = None,
    sigma_normal: float | Sequence[float] | None = None,
    step: float = 1.0,
    per_cell: bool = False,
    return_edge: bool = False,
) -> tuple[Tensor, ...]:
    """Search the outer product of two distributions, without forming it.

    With one ``sigma`` this is :func:`search_latent_targets` on
    ``y[..., :, None] * x[..., None, :]``, whose other arguments it takes. The ideal
    Gaussian may be wider along one axis, as where SimCC's input is not square: give two
    sigmas. Lengths are then in bins in which it is round: along x a bin counts
    ``mean(sigma) / sigma_x``, along y ``mean(sigma) / sigma_y``.

    Args:
        profiles: ``(B, K, Wx)`` along x and ``(B, K, Wy)`` along y, of peak 1 where a
            landmark is perfectly predicted; no gradient is kept. Bins outside count
            as 0.
        observed: ``(B, K, 2)`` float ``(x, y)`` in bins.
        search_radius: ``R`` in steps.
        patch_radius: ``P`` in steps.
        sigma: Standard deviation of the ideal Gaussian in bins; one number, or one
            along x and one along y.
        sigma_prior: As in :func:`search_latent_targets`; so are all below.
        sigma_likelihood: See ``sigma_prior``.
        visible: See ``sigma_prior``.
        subcell: See ``sigma_prior``.
        tangents: See ``sigma_prior``; along curves in bins, not in round ones.
        sigma_normal: See ``sigma_prior``.
        step: See ``sigma_prior``.
        per_cell: See ``sigma_prior``.
        return_edge: See ``sigma_prior``.

    Returns:
        As :func:`search_latent_targets`; ``targets`` are bins.

    Raises:
        ValueError: On wrong shapes or parameters, as :func:`search_latent_targets`.
        TypeError: If ``observed`` is not of a floating-point type.

    Example:
        >>> bins = torch.arange(16.0)
        >>> x, y = torch.exp(-(bins - torch.tensor([[8.0], [5.0]])) ** 2 / 8)
        >>> targets, energy = search_separable_targets(
        ...     (x[None, None], y[None, None]), torch.tensor([[[6.0, 6.0]]]),
        ...     search_radius=4, patch_radius=3, sigma=2.0, sigma_prior=8.0,
        ...     sigma_likelihood=1.0)
        >>> targets
        tensor([[[8., 5.]]])
    """
    for profile in profiles:
        check_heatmaps(profile[..., None], observed)
    x, y = (profile.detach().flatten(0, 1) for profile in profiles)
    sigmas = torch.as_tensor(sigma, dtype=torch.float64).expand(2)
    for number in sigmas.tolist():
        check_positive("sigma", number)
    scale = sigmas.mean() / sigmas
    steps = step / scale  # bins
    filters = SeparableFilters(search_radius, patch_radius, sigmas, steps, (x, y))
    if tangents is not None:
        tangents = tangents * send(scale.to(tangents.dtype), tangents.device)
        tangents = tangents / tangents.norm(dim=-1, keepdim=True).clamp(min=1e-12)
    return search_filtered(
        filters,
        (x, y),
        observed,
        steps=step * torch.arange(-search_radius, search_radius + 1),
        sigma_prior=sigma_prior,
        sigma_likelihood=sigma_likelihood,
        visible=visible,
        subcell=subcell,
        tangents=tangents,
        sigma_normal=sigma_normal,
        samples=2 * patch_radius + 1 if per_cell else 1,
        dtype=torch.promote_types(x.dtype, torch.float32),
        return_edge=return_edge,
        scale=scale,
    )


class SeparableFilters:
    """What :class:`ChiSquareFilters` is for heatmaps, for two distributions.

    Args:
        search_radius: ``R`` in steps.
        patch_radius: ``P`` in steps.
        sigmas: ``(2,)`` in bins, along x and along y.
        steps: ``(2,)`` in bins.
        profiles: ``(N, Wx)`` and ``(N, Wy)``, whose type and device decide in what the
            sums are computed.

    Attributes:
        dtype: That the sums are computed in.
    """

    def __init__(
        self,
        search_radius: int,
        patch_radius: int,
        sigmas: Tensor,
        steps: Tensor,
        profiles: tuple[Tensor, Tensor],
    ) -> None:
        self._axes = [
            ChiSquareFilters(search_radius, patch_radius, sigma, step, profile)
            for sigma, step, profile in zip(sigmas.tolist(), steps.tolist(), profiles)
        ]
        self.dtype = self._axes[0].dtype

    def chunks(
        self, profiles: tuple[Tensor, Tensor], centers: Tensor
    ) -> Iterator[tuple[slice, Tensor]]:
        """Yield landmarks and their chi-square, as :class:`ChiSquareFilters` does.

        Args:
            profiles: ``(N, Wx)`` and ``(N, Wy)``.
            centers: ``(N, 2)`` whole bins.
        """
        for rows in self._axes[0].rows(len(centers)):
            yield rows, self._chi_square(profiles, centers, rows)

    def _chi_square(
        self, profiles: tuple[Tensor, Tensor], centers: Tensor, rows: slice
    ) -> Tensor:
        """Return chi-square of all candidates of some landmarks, ``[dy, dx]``."""
        (box_x, inverse_x), (box_y, inverse_y) = (
            _patch_sums(filters, profile[rows], centers[rows, axis])
            for axis, (filters, profile) in enumerate(zip(self._axes, profiles))
        )
        left = torch.stack((inverse_y, -2 * box_y), dim=-1)
        right = torch.stack((inverse_x, box_x), dim=-2)
        with without_autocast(left.device):
            products = left @ right
        return products.add_(self._axes[0].total).clamp_(min=0)


def _patch_sums(
    filters: ChiSquareFilters, profiles: Tensor, centers: Tensor
) -> tuple[Tensor, Tensor]:
    """Return ``sum Phi`` and ``sum Phi^2 / E`` about every candidate: ``(n, 2R + 1)``.

    Args:
        filters: Of this axis.
        profiles: ``(n, W)``.
        centers: ``(n,)`` whole bins.
    """
    width = profiles.shape[-1]
    steps = torch.arange(-filters.radius, filters.radius + 1, device=profiles.device)
    bins = centers.to(profiles.device)[:, None] + steps
    crop = profiles.gather(1, bins.clamp(0, width - 1)).to(filters.dtype)
    crop = crop.masked_fill_((bins < 0) | (bins >= width), 0)
    with without_autocast(crop.device):
        if filters.resample is not None:
            crop = crop @ filters.resample.T
        return crop @ filters.box.T, crop.square() @ filters.inverse.T
