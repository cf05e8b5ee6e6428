"""Pearson's chi-square between a heatmap's patch and an ideal Gaussian; its loss.

Liu et al., "Semantic Alignment: Finding Semantically Consistent Ground-truth
for Facial Landmark Detection", CVPR 2019 (arXiv 1903.10661).

Symbols: ``y`` a landmark's latent real position, ``H`` the predicted heatmap,
``E`` an ideal Gaussian patch, ``Phi(y)`` the patch of ``H`` around ``y``. All
positions are ``(x, y)`` in heatmap cells; a cell's centre is an integer.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import check_heatmaps, check_positive, check_radius

# exp() overflows above this in float64, so 1 / E ends there.
_MAX_EXPONENT = 700.0

# Heatmap cells that chi_square_map works on at once (2 MiB in float64).
_CELLS_AT_A_TIME = 2**18


def gaussian_patch(
    patch_radius: int,
    sigma: float,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return the ideal heatmap patch ``E``: a Gaussian of peak 1 on its middle cell.

    Args:
        patch_radius: ``P``; the patch has ``2P + 1`` cells a side.
        sigma: Standard deviation of the Gaussian, in heatmap cells.
        dtype: Result's type.
        device: Result's device.

    Returns:
        Tensor ``(2P + 1, 2P + 1)``.

    Example:
        >>> gaussian_patch(1, 1.0).sum() < 9
        tensor(True)
    """
    check_radius("patch_radius", patch_radius)
    check_positive("sigma", sigma)
    profile = _gaussian_exponent(patch_radius, sigma, dtype, device).neg().exp()
    return profile[:, None] * profile[None, :]


def pearson_chi_square(
    observed: Tensor, expected: Tensor, *, floor: float = 0.0
) -> Tensor:
    """Return ``(E - Phi)^2 / max(E, floor)``, element by element.

    Args:
        observed: ``Phi``, any shape.
        expected: ``E``, broadcastable to ``observed``; positive where
            ``floor`` is 0.
        floor: Least denominator; bounds the weight of cells where ``E`` is
            almost 0.

    Returns:
        Tensor of the broadcast shape.
    """
    return (expected - observed).square() / expected.clamp(min=floor)


def chi_square_map(
    heatmaps: Tensor,
    centers: Tensor,
    *,
    search_radius: int,
    patch_radius: int,
    sigma: float,
) -> Tensor:
    """Return Pearson's chi-square of the heatmap patch around every candidate.

    ``chi2(y) = sum_i (E_i - Phi_i(y))^2 / E_i`` (the paper's likelihood term)
    for the ``(2R + 1)^2`` candidates ``y`` around each centre. Expanding the
    square gives ``sum E - 2 sum Phi + sum Phi^2 / E``: a constant, a box
    filter of the heatmap and a correlation of its square with ``1 / E``. Both
    filters are separable, so all candidates of a landmark cost two pairs of
    small matrix products over one crop. They are computed in float64: near a
    perfect fit the three sums cancel.

    The patch's rim dominates through ``1 / E``: choose ``patch_radius`` near
    ``sigma``, not many times larger.

    Args:
        heatmaps: ``(B, K, H, W)``. Cells outside count as 0.
        centers: ``(B, K, 2)`` integer ``(x, y)`` cells; may lie outside.
        search_radius: ``R`` in cells.
        patch_radius: ``P`` in cells.
        sigma: Standard deviation of ``E`` in cells.

    Returns:
        Tensor ``(B, K, 2R + 1, 2R + 1)``, indexed ``[dy, dx]``;
        differentiable in ``heatmaps``; float64 for float64 heatmaps, else
        float32.

    Raises:
        ValueError: On wrong shapes, negative radii, or a patch so much wider
            than the Gaussian that ``1 / E`` overflows.
        TypeError: If ``centers`` is not of an integer type.

    Example:
        >>> heatmaps = torch.zeros(1, 1, 16, 16)
        >>> centers = torch.tensor([[[8, 8]]])
        >>> chi_square_map(
        ...     heatmaps, centers, search_radius=2, patch_radius=2, sigma=1.0
        ... ).shape
        torch.Size([1, 1, 5, 5])
    """
    check_heatmaps(heatmaps, centers)
    if centers.is_floating_point():
        raise TypeError(
            f"centers must be integer heatmap cells, got dtype {centers.dtype}"
        )
    check_radius("search_radius", search_radius)
    check_radius("patch_radius", patch_radius)
    _check_sigma(patch_radius, sigma)

    radius = search_radius + patch_radius
    exponent = _gaussian_exponent(patch_radius, sigma, torch.float64, heatmaps.device)
    box = _banded(torch.ones_like(exponent), search_radius)
    inverse = _banded(exponent.exp(), search_radius)
    total = exponent.neg().exp().sum() ** 2
    # Some landmarks at a time, so that the crops of any batch fit in a cache.
    count = max(1, _CELLS_AT_A_TIME // (2 * radius + 1) ** 2)
    chunks = []
    for maps, cells in zip(
        heatmaps.flatten(0, 1).split(count), centers.flatten(0, 1).split(count)
    ):
        crops = _crop(maps, cells, radius).double()
        box_sums = box @ crops @ box.T
        squares = crops.square() if crops.requires_grad else crops.square_()
        inverse_sums = inverse @ squares @ inverse.T
        chunks.append(inverse_sums.sub_(box_sums, alpha=2).add_(total))
    side = 2 * search_radius + 1
    dtype = torch.promote_types(heatmaps.dtype, torch.float32)
    return torch.cat(chunks).view(*centers.shape[:2], side, side).to(dtype)


def chi_square_loss(
    heatmaps: Tensor,
    centers: Tensor,
    *,
    patch_radius: int,
    sigma: float,
    sigma_likelihood: float = 1.0,
    visible: Tensor | None = None,
) -> Tensor:
    """Return the paper's training step: ``chi2(y) / (2 sigma_likelihood^2)``.

    Mean over the visible landmarks (the paper sums; the mean leaves the
    learning rate independent of batch and landmark count). ``E`` is centred
    on the target to the fraction of a cell; for integer targets each term is
    the middle of :func:`chi_square_map`.

    Args:
        heatmaps: ``(B, K, H, W)`` predictions.
        centers: ``(B, K, 2)`` float ``(x, y)`` targets in cells.
        patch_radius: ``P`` in cells: the patch around the cell nearest to
            the target.
        sigma: Standard deviation of ``E`` in cells.
        sigma_likelihood: The paper's sigma_2.
        visible: ``(B, K)`` weights; 0 leaves a landmark out.

    Returns:
        Tensor ``()``; 0 with a gradient of 0 if nothing is visible.

    Raises:
        ValueError: On wrong shapes or parameters.
    """
    check_heatmaps(heatmaps, centers)
    check_radius("patch_radius", patch_radius)
    # The target may be half a cell off the patch's middle on both axes.
    _check_sigma(patch_radius + 0.5, sigma)
    check_positive("sigma_likelihood", sigma_likelihood)
    dtype = torch.promote_types(heatmaps.dtype, torch.float32)
    used = torch.isfinite(centers).all(dim=-1)
    if visible is not None:
        used = used & (visible > 0)
    centers = torch.where(used[..., None], centers, 0).double()
    cells = centers.round().clamp(-1e6, 1e6)
    patches = _crop(
        heatmaps.flatten(0, 1), cells.long().flatten(0, 1), patch_radius
    ).double()
    steps = torch.arange(
        -patch_radius, patch_radius + 1, dtype=patches.dtype, device=patches.device
    )
    squared = (steps + (cells - centers)[..., None]).square() / (2 * sigma**2)
    exponent = (squared[..., 1, :, None] + squared[..., 0, None, :]).flatten(0, 1)
    chi_square = pearson_chi_square(patches, exponent.neg().exp()).sum(dim=(1, 2))
    weights = used.to(chi_square.dtype)
    if visible is not None:
        weights = weights * visible.to(chi_square.dtype)
    weighted = chi_square * weights.flatten()
    mean = weighted.sum() / weights.sum().clamp(min=1e-12)
    return (mean / (2 * sigma_likelihood**2)).to(dtype)


def _gaussian_exponent(
    radius: int,
    sigma: float,
    dtype: torch.dtype,
    device: torch.device | str | None,
) -> Tensor:
    """Return ``d^2 / (2 sigma^2)`` for ``d = -radius .. radius``."""
    steps = torch.arange(-radius, radius + 1, dtype=dtype, device=device)
    return steps.square() / (2 * sigma**2)


def _banded(profile: Tensor, search_radius: int) -> Tensor:
    """Return a matrix whose row ``r`` holds ``profile`` shifted by ``r`` columns.

    ``profile (2P + 1,)`` gives ``(2R + 1, 2R + 2P + 1)``; its product with a
    column of cells correlates the column with the profile.
    """
    rows = 2 * search_radius + 1
    matrix = profile.new_zeros(rows, rows + len(profile) - 1)
    for row in range(rows):
        matrix[row, row : row + len(profile)] = profile
    return matrix


def _crop(maps: Tensor, centers: Tensor, radius: int) -> Tensor:
    """Return square crops ``(N, 2 radius + 1, 2 radius + 1)``, zero outside.

    ``maps (N, H, W)``, ``centers (N, 2)`` integer ``(x, y)``.
    """
    height, width = maps.shape[-2:]
    steps = torch.arange(-radius, radius + 1, device=maps.device)
    cells = centers.to(maps.device)[..., None] + steps
    columns, rows = cells[:, 0], cells[:, 1]
    column_in = (columns >= 0) & (columns < width)
    row_in = (rows >= 0) & (rows < height)
    first = rows.clamp(0, height - 1) * width
    flat = first[:, :, None] + columns.clamp(0, width - 1)[:, None, :]
    crops = maps.flatten(1).gather(1, flat.flatten(1)).view(flat.shape)
    crops *= row_in[:, :, None].to(crops)
    crops *= column_in[:, None, :].to(crops)
    return crops


def _check_sigma(rim: float, sigma: float) -> None:
    """Refuse a Gaussian whose ``1 / E`` overflows ``rim`` cells off on both axes."""
    check_positive("sigma", sigma)
    if (rim / sigma) ** 2 > _MAX_EXPONENT:
        raise ValueError(
            f"patch_radius is too large for sigma={sigma}: 1 / E overflows at the "
            f"patch's corner. Use patch_radius <= {int(26 * sigma)}; 2 * sigma "
            "or less is a sane choice."
        )
