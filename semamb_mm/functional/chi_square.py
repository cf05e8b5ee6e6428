"""Pearson's chi-square between a heatmap's patch and an ideal Gaussian; its loss.

Liu et al., "Semantic Alignment: Finding Semantically Consistent Ground-truth
for Facial Landmark Detection", CVPR 2019 (arXiv 1903.10661).

Symbols: ``y`` a landmark's latent real position, ``H`` the predicted heatmap,
``E`` an ideal Gaussian patch, ``Phi(y)`` the patch of ``H`` around ``y``. All
positions are ``(x, y)`` in heatmap cells; a cell's centre is an integer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache

import torch
from torch import Tensor

from ._checks import check_heatmaps, check_positive, check_radius
from .devices import send

# exp() overflows above this in float64, so 1 / E ends there.
_MAX_EXPONENT = 700.0

# 1 / E below exp(this) leaves float32 room for the squares of any sane heatmap.
_MAX_EXPONENT_FLOAT32 = 60.0

# Samples of heatmaps that are worked on at once: they fit into a cache.
_SAMPLES_AT_A_TIME = 2**17


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
    step: float = 1.0,
) -> Tensor:
    """Return Pearson's chi-square of the heatmap patch around every candidate.

    ``chi2(y) = sum_i (E_i - Phi_i(y))^2 / E_i`` (the paper's likelihood term)
    for the ``(2R + 1)^2`` candidates ``y`` around each centre. Expanding the
    square gives ``sum E - 2 sum Phi + sum Phi^2 / E``: a constant, a box
    filter of the heatmap and a correlation of its square with ``1 / E``. Both
    filters are separable, so all candidates of a landmark cost two pairs of
    small matrix products over one crop.

    Near a perfect fit the three sums cancel. In float32 the error stays below
    ``1e-6 * (chi2 + sum E)``, whatever ``1 / E``: no term is much larger than that.
    Where ``1 / E`` is too large for float32 the sums are computed in float64.

    The patch's rim dominates through ``1 / E``: choose ``patch_radius`` near
    ``sigma``, not many times larger.

    Args:
        heatmaps: ``(B, K, H, W)``. Cells outside count as 0.
        centers: ``(B, K, 2)`` integer ``(x, y)`` cells; may lie outside.
        search_radius: ``R`` in steps.
        patch_radius: ``P`` in steps.
        sigma: Standard deviation of ``E`` in cells.
        step: Cells between neighbouring candidates, and between neighbouring
            samples of a patch. Other than 1 the heatmap is interpolated (cubic,
            Keys 1981), finer or coarser than its cells.

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
    filters = ChiSquareFilters(search_radius, patch_radius, sigma, step, heatmaps)
    cells = centers.flatten(0, 1)
    dtype = torch.promote_types(heatmaps.dtype, torch.float32)
    chunks = [found.to(dtype) for _, found in filters.chunks(heatmaps, cells)]
    side = 2 * search_radius + 1
    return torch.cat(chunks).view(*centers.shape[:2], side, side)


class ChiSquareFilters:
    """The filters that give :func:`chi_square_map`, for some landmarks at a time.

    Args:
        search_radius: ``R`` in steps.
        patch_radius: ``P`` in steps.
        sigma: In cells.
        step: In cells.
        heatmaps: Whose type and device decide in what the sums are computed.

    Attributes:
        radius: Of a landmark's crop of the heatmap, in cells.
        resample: What makes samples of a column of cells, if they are not the same.
        box: What makes sums over each patch of a column of samples.
        inverse: The same, weighted by 1 / E.
        total: ``sum E`` over the patch.
        dtype: That the sums are computed in.
        at_once: How many landmarks are worked on at once.

    Raises:
        ValueError: As :func:`chi_square_map`.
    """

    def __init__(
        self,
        search_radius: int,
        patch_radius: int,
        sigma: float,
        step: float,
        heatmaps: Tensor,
    ) -> None:
        check_radius("search_radius", search_radius)
        check_radius("patch_radius", patch_radius)
        check_positive("step", step)
        _check_sigma(patch_radius * step, sigma)
        self.samples = 2 * (search_radius + patch_radius) + 1
        self.dtype = _sums_dtype(heatmaps, (patch_radius * step / sigma) ** 2)
        box, inverse, self.total = _patch_filters(
            search_radius, patch_radius, sigma / step
        )
        self.radius = search_radius + patch_radius
        self.resample = None
        if step != 1:
            resample = _interpolation(search_radius + patch_radius, step)
            self.radius = resample.shape[1] // 2
            self.resample = self._placed(resample, heatmaps)
        self.box, self.inverse = (self._placed(m, heatmaps) for m in (box, inverse))
        # Whole cells apart the samples are cells: they alone are read.
        self._stride = int(step) if float(step).is_integer() else None
        widest = self.samples
        if self._stride is None:
            widest = max(widest, 2 * self.radius + 1)
        self.at_once = max(1, _SAMPLES_AT_A_TIME // widest**2)

    def _placed(self, matrix: Tensor, like: Tensor) -> Tensor:
        return send(matrix.to(self.dtype), like.device)

    def chunks(self, maps: Tensor, centers: Tensor) -> Iterator[tuple[slice, Tensor]]:
        """Yield landmarks and their chi-square, as many as are worked on at once.

        Args:
            maps: All heatmaps ``(B, K, H, W)``.
            centers: All centres ``(B * K, 2)`` integer ``(x, y)``.

        Yields:
            Which ``n`` of the landmarks, and ``(n, 2R + 1, 2R + 1)`` in :attr:`dtype`.
        """
        radius = self.radius if self._stride is None else self.samples // 2
        crops = _Crops(maps, centers, radius, self._stride or 1, self.at_once)
        for rows in self.rows(len(centers)):
            yield rows, self._chi_square(crops(rows).to(self.dtype))

    def rows(self, count: int) -> Iterator[slice]:
        """Yield which of ``count`` landmarks to work on at once."""
        for first in range(0, max(1, count), self.at_once):
            yield slice(first, first + self.at_once)

    def _chi_square(self, crops: Tensor) -> Tensor:
        """Return chi-square of all candidates in each of the crops, ``(n, S, S)``."""
        with without_autocast(crops.device):
            if self._stride is None and self.resample is not None:
                crops = _filter(crops, self.resample)
            sums = _filter(crops, self.box)
            # In place, unless a gradient needs them: new memory is what costs time.
            crops = crops.square() if crops.requires_grad else crops.square_()
            squares = _filter(crops, self.inverse)
        # Rounding may leave a perfect fit below 0.
        return squares.sub_(sums, alpha=2).add_(self.total).clamp_(min=0)


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
    centers = torch.where(used[..., None], centers, 0)
    cells = centers.round().clamp(-1e6, 1e6)
    work = _sums_dtype(heatmaps, ((patch_radius + 0.5) / sigma) ** 2)
    crops = _Crops(heatmaps, cells.long().flatten(0, 1), patch_radius)
    patches = crops().to(work)
    steps = torch.arange(
        -patch_radius, patch_radius + 1, dtype=patches.dtype, device=patches.device
    )
    offsets = (cells - centers).to(patches)[..., None]
    squared = (steps + offsets).square() / (2 * sigma**2)
    exponent = (squared[..., 1, :, None] + squared[..., 0, None, :]).flatten(0, 1)
    chi_square = pearson_chi_square(patches, exponent.neg().exp()).sum(dim=(1, 2))
    weights = used.to(chi_square.dtype)
    if visible is not None:
        weights = weights * visible.to(chi_square.dtype)
    weighted = chi_square * weights.flatten()
    mean = weighted.sum() / weights.sum().clamp(min=1e-12)
    return (mean / (2 * sigma_likelihood**2)).to(dtype)


def _sums_dtype(heatmaps: Tensor, exponent: float) -> torch.dtype:
    """Return what to compute in, ``1 / E`` being up to ``exp(exponent)``."""
    if heatmaps.dtype == torch.float64 or exponent > _MAX_EXPONENT_FLOAT32:
        return torch.float64
    if torch.get_float32_matmul_precision() != "highest" and heatmaps.device.type in (
        "cpu",
        "cuda",
    ):
        return torch.float64  # float32 products keep 8 or 11 bits then
    return torch.float32


def without_autocast(device: torch.device) -> AbstractContextManager:
    """Return what keeps products in the type of their factors."""
    try:
        return torch.autocast(device.type, enabled=False)
    except RuntimeError:  # a device that has none
        return nullcontext()


def _gaussian_exponent(
    radius: int,
    sigma: float,
    dtype: torch.dtype = torch.float64,
    device: torch.device | str | None = None,
) -> Tensor:
    """Return ``d^2 / (2 sigma^2)`` for ``d = -radius .. radius``."""
    steps = torch.arange(-radius, radius + 1, dtype=dtype, device=device)
    return steps.square() / (2 * sigma**2)


def _banded(profile: Tensor, search_radius: int) -> Tensor:
    """Return a matrix whose row ``r`` holds ``profile`` shifted by ``r`` columns.

    ``profile (2P + 1,)`` gives ``(2R + 1, 2R + 2P + 1)``; its product with a
    column of samples correlates the column with the profile.
    """
    rows = 2 * search_radius + 1
    matrix = profile.new_zeros(rows, rows + len(profile) - 1)
    for row in range(rows):
        matrix[row, row : row + len(profile)] = profile
    return matrix


@lru_cache(maxsize=64)
def _patch_filters(
    search_radius: int, patch_radius: int, sigma: float
) -> tuple[Tensor, Tensor, float]:
    """Return what sums over patches, the same weighted by 1 / E, and ``sum E``.

    Not to be changed; on the CPU in float64, which not every device has.
    """
    exponent = _gaussian_exponent(patch_radius, sigma)
    box = _banded(torch.ones_like(exponent), search_radius)
    inverse = _banded(exponent.exp(), search_radius)
    return box, inverse, float(exponent.neg().exp().sum() ** 2)


def _interpolation(radius: int, step: float) -> Tensor:
    """Return the matrix that interpolates a column of cells at multiples of ``step``.

    ``(2 radius + 1, 2 C + 1)``: samples ``-radius .. radius`` of the cells ``-C ..
    C``. Keys' cubic convolution with ``a = -1/2``; exact on the cells themselves.
    """
    places = step * torch.arange(-radius, radius + 1, dtype=torch.float64)
    cells = math.ceil(radius * step - 1e-9)
    cells += 0 if float(step).is_integer() else 1
    distance = places[:, None] - torch.arange(-cells, cells + 1, dtype=torch.float64)
    distance = distance.abs()
    near = (1.5 * distance - 2.5) * distance**2 + 1
    far = ((2.5 - 0.5 * distance) * distance - 4) * distance + 2
    return torch.where(distance <= 1, near, torch.where(distance < 2, far, 0))


def _filter(images: Tensor, matrix: Tensor) -> Tensor:
    """Return ``matrix @ image @ matrix.T`` of images ``(n, S, S)``: ``(n, T, T)``."""
    # One product with all rows of all images, then one an image: twice as fast as two.
    rows = (images.reshape(-1, images.shape[-1]) @ matrix.T).view(
        *images.shape[:2], len(matrix)
    )
    return matrix @ rows


class _Crops:
    """Square crops ``(n, 2 radius + 1, 2 radius + 1)`` of heatmaps, zero outside.

    Args:
        maps: ``(B, K, H, W)``, in memory as they come: a network's are often
            channels-last, and to copy all of them takes longer than to read the crops.
        centers: ``(B * K, 2)`` integer ``(x, y)``.
        radius: In strides.
        stride: Of the cells to read.
        at_once: The most landmarks of a call; all by default.
    """

    def __init__(
        self,
        maps: Tensor,
        centers: Tensor,
        radius: int,
        stride: int = 1,
        at_once: int | None = None,
    ) -> None:
        reach = radius * stride
        by_lines = maps.device.type == "cpu" and not maps.requires_grad
        if not by_lines:  # other devices may copy views that overlap themselves
            maps = maps.contiguous()
        height, width = maps.shape[-2:]
        centers = centers.to(maps.device)
        steps = stride * torch.arange(-radius, radius + 1, device=maps.device)
        # Far outside nothing but zeros is left, however far.
        x = centers[:, :1].clamp(-2 * reach - 1, width + 2 * reach + 1) + steps
        y = centers[:, 1:].clamp(-2 * reach - 1, height + 2 * reach + 1) + steps
        self._outside = _outside(x, width), _outside(y, height)
        first, lines, columns = _places(maps)
        self._begin = first[:, None] + y.clamp(0, height - 1) * lines
        self._columns = x.clamp(0, width - 1) * columns
        self._buffer = None
        cells = 1 + sum((n - 1) * s for n, s in zip(maps.shape, maps.stride()))
        last = cells - 1 - 2 * reach * columns
        if not by_lines or last < 0:
            self._cells = maps.flatten()
            return
        self._cells = maps.as_strided((cells,), (1,))
        shape = (last + 1, 2 * radius + 1)
        self._view = maps.as_strided(shape, (1, stride * columns))
        begin = self._begin + x[:, :1] * columns
        self._lines = begin.clamp(0, last)
        # One for all calls: memory that is new costs more than what is done in it.
        most = len(centers) if at_once is None else min(len(centers), at_once)
        self._buffer = maps.new_empty(most * shape[1], shape[1])
        self._leaves_memory = (begin != self._lines).any(1)
        self._crosses = self._outside[0].any(1)

    def __call__(self, rows: slice = slice(None)) -> Tensor:
        """Return the crops of some of the landmarks; the next call overwrites them."""
        x, y = (outside[rows] for outside in self._outside)
        if self._buffer is None:
            outside = x[:, None, :] | y[:, :, None]
            return self._cell_by_cell(rows).masked_fill(outside, 0)
        # Each line of a crop at once, from where it begins in memory and across the
        # maps' borders: what is not of the landmark's own map becomes 0.
        begin = self._lines[rows]
        lines = self._buffer[: begin.numel()]
        torch.index_select(self._view, 0, begin.flatten(), out=lines)
        crops = lines.view(*begin.shape, -1)
        leaving = self._leaves_memory[rows].nonzero().squeeze(1)
        if len(leaving):
            crops[leaving] = self._cell_by_cell(leaving + (rows.start or 0))
        lines.index_fill_(0, y.flatten().nonzero().squeeze(1), 0)
        crossing = self._crosses[rows].nonzero().squeeze(1)
        crops[crossing] = crops[crossing].masked_fill_(x[crossing][:, None, :], 0)
        return crops

    def _cell_by_cell(self, rows: slice | Tensor) -> Tensor:
        """Return crops, each cell from its own place; anything for what is outside."""
        return self._cells[self._begin[rows][:, :, None] + self._columns[rows][:, None]]


def _places(maps: Tensor) -> tuple[Tensor, int, int]:
    """Return where each map begins in memory ``(B * K,)``, and both of its strides."""
    batch, landmarks, lines, columns = maps.stride()
    samples = batch * torch.arange(maps.shape[0], device=maps.device)
    channels = landmarks * torch.arange(maps.shape[1], device=maps.device)
    return (samples[:, None] + channels).flatten(), lines, columns


def _outside(places: Tensor, size: int) -> Tensor:
    """Return which of the cells of an axis are beyond its ends."""
    return (places < 0) | (places >= size)


def _check_sigma(rim: float, sigma: float) -> None:
    """Refuse a Gaussian whose ``1 / E`` overflows ``rim`` cells off on both axes."""
    check_positive("sigma", sigma)
    if (rim / sigma) ** 2 > _MAX_EXPONENT:
        raise ValueError(
            f"patch_radius is too large for sigma={sigma}: 1 / E overflows at the "
            f"patch's corner. Use patch_radius <= {int(26 * sigma)}; 2 * sigma "
            "or less is a sane choice."
        )
