"""Semantic alignment: the search for a landmark's real position, and its loss.

Liu et al., "Semantic Alignment: Finding Semantically Consistent Ground-truth
for Facial Landmark Detection", CVPR 2019 (arXiv 1903.10661).

Symbols: ``o`` the observed landmark (the annotation, later the previous
target), ``y`` its latent real position, ``H`` the predicted heatmap, ``E`` an
ideal Gaussian patch, ``Phi(y)`` the patch of ``H`` around ``y``. All
positions are ``(x, y)`` in heatmap cells; a cell's centre is an integer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

# exp() overflows above this in float64, so 1 / E ends there.
_MAX_EXPONENT = 700.0

# Heatmap cells that chi_square_map works on at once (2 MiB in float64).
_CELLS_AT_A_TIME = 2**18

SUBCELL_MODES = ("none", "parabola", "mean")


def gaussian_patch(
    patch_radius: int,
    sigma: float,
    *,
    dtype: torch.dtype = torch.float32,
    device: torch.device | str | None = None,
) -> Tensor:
    """The ideal heatmap patch ``E``: a Gaussian of peak 1 on its middle cell.

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
    _check_radius("patch_radius", patch_radius)
    _check_positive("sigma", sigma)
    profile = _gaussian_exponent(patch_radius, sigma, dtype, device).neg().exp()
    return profile[:, None] * profile[None, :]


def chi_square_map(
    heatmaps: Tensor,
    centers: Tensor,
    *,
    search_radius: int,
    patch_radius: int,
    sigma: float,
) -> Tensor:
    """Pearson's chi-square of the heatmap patch around every candidate.

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
    _check_heatmaps(heatmaps, centers)
    if centers.is_floating_point():
        raise TypeError(
            f"centers must be integer heatmap cells, got dtype {centers.dtype}"
        )
    _check_radius("search_radius", search_radius)
    _check_radius("patch_radius", patch_radius)
    _check_sigma(patch_radius, sigma)

    radius = search_radius + patch_radius
    kwargs = dict(dtype=torch.float64, device=heatmaps.device)
    exponent = _gaussian_exponent(patch_radius, sigma, **kwargs)
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


def search_latent_targets(
    heatmaps: Tensor,
    observed: Tensor,
    *,
    search_radius: int = 8,
    patch_radius: int,
    sigma: float,
    sigma_prior: float | Sequence[float],
    sigma_likelihood: float | Sequence[float],
    visible: Tensor | None = None,
    subcell: str = "none",
    tangents: Tensor | None = None,
    sigma_normal: float | Sequence[float] | None = None,
) -> tuple[Tensor, Tensor]:
    """The paper's search step: where is the real landmark near the observed?

    The minimiser over the ``(2R + 1)^2`` cells around ``o`` of
    ``||o - y||^2 / (2 sigma_prior^2) + chi2(y) / (2 sigma_likelihood^2)``.
    The neighbourhood is centred on the cell nearest to ``o``; the prior is
    measured from ``o`` itself.

    Args:
        heatmaps: ``(B, K, H, W)`` predicted heatmaps; no gradient is kept.
        observed: ``(B, K, 2)`` float ``(x, y)`` in cells.
        search_radius: ``R``; 8 gives the paper's 17 x 17 neighbourhood.
        patch_radius: ``P`` of :func:`chi_square_map`, in cells.
        sigma: Standard deviation of the ideal patch, in cells.
        sigma_prior: The paper's sigma_1, in cells; one number, or K of them.
        sigma_likelihood: The paper's sigma_2, in units of sqrt(chi-square);
            one number, or K of them. The larger, the less a landmark's
            heatmap is trusted.
        visible: ``(B, K)``; landmarks with 0 keep their observed position
            and get energy 0.
        subcell: ``'none'`` gives the minimising cell (the paper's);
            ``'parabola'`` refines it by at most half a cell with a parabola
            through its neighbours on each axis; ``'mean'`` gives the mean of
            the posterior ``exp(-energy)`` over the neighbourhood, which is
            the least-squares estimate under the paper's own model.
        tangents: ``(B, K, 2)`` unit vectors along the curve that a landmark
            lies on, see :func:`curve_tangents`. With them ``sigma_prior``
            holds along the curve and ``sigma_normal`` across it (ours, not
            the paper's); a landmark whose tangent is zero keeps the paper's
            prior.
        sigma_normal: The prior's standard deviation across the curve, in
            cells; one number, or K of them. Given with ``tangents`` only.

    Returns:
        ``targets (B, K, 2)`` float ``(x, y)`` cells of ``observed``'s dtype,
        and ``energy (B, K)``, the objective at the minimising cell.
        A landmark whose observation or whose whole energy is not finite
        keeps its observed position; its energy is infinite.

    Raises:
        ValueError: On wrong shapes, non-positive sigmas, another number of
            them than landmarks, or an unknown mode.

    Example:
        >>> patch = gaussian_patch(8, 2.0)[None, None]
        >>> targets, energy = search_latent_targets(
        ...     patch, torch.tensor([[[6.0, 9.0]]]), search_radius=4,
        ...     patch_radius=3, sigma=2.0, sigma_prior=8.0, sigma_likelihood=1.0)
        >>> targets
        tensor([[[8., 8.]]])
    """
    _check_heatmaps(heatmaps, observed)
    if not observed.is_floating_point():
        raise TypeError(f"observed must be floating point, got {observed.dtype}")
    landmarks = heatmaps.shape[1]
    sigma_prior = _per_landmark("sigma_prior", sigma_prior, landmarks)
    sigma_likelihood = _per_landmark("sigma_likelihood", sigma_likelihood, landmarks)
    if (tangents is None) != (sigma_normal is None):
        raise ValueError("tangents and sigma_normal go together: give both or none")
    if tangents is not None:
        sigma_normal = _per_landmark("sigma_normal", sigma_normal, landmarks)
        if tangents.shape != observed.shape:
            raise ValueError(
                f"tangents must have shape {tuple(observed.shape)}, "
                f"got {tuple(tangents.shape)}"
            )
    if subcell not in SUBCELL_MODES:
        raise ValueError(f"subcell must be one of {SUBCELL_MODES}, got {subcell!r}")
    if visible is not None and visible.shape != observed.shape[:2]:
        raise ValueError(
            f"visible must have shape {tuple(observed.shape[:2])}, "
            f"got {tuple(visible.shape)}"
        )

    with torch.no_grad():
        finite = torch.isfinite(observed).all(dim=-1)
        anchors = torch.where(finite[..., None], observed, 0)
        centers = anchors.round().clamp(-1e6, 1e6).long()
        chi_square = chi_square_map(
            heatmaps.detach(),
            centers,
            search_radius=search_radius,
            patch_radius=patch_radius,
            sigma=sigma,
        )
        steps = torch.arange(
            -search_radius,
            search_radius + 1,
            device=chi_square.device,
            dtype=chi_square.dtype,
        )
        # (B, K, 2, 2R + 1): distance of the candidates on each axis.
        offset = (centers - anchors).to(chi_square.dtype)
        distance = offset[..., None] + steps
        squared = distance.square()
        squared = squared[..., 1, :, None] + squared[..., 0, None, :]
        energy = squared / (2 * sigma_prior**2).to(squared)
        if tangents is not None:
            t = tangents.to(distance)[..., None]
            across = distance * torch.stack((-t[..., 1, :], t[..., 0, :]), dim=-2)
            across = across[..., 0, None, :].add(across[..., 1, :, None]).square()
            excess = 0.5 / sigma_normal**2 - 0.5 / sigma_prior**2
            energy += across * excess.to(across)
        energy += chi_square / (2 * sigma_likelihood**2).to(chi_square)
        energy = torch.nan_to_num(energy, nan=math.inf, posinf=math.inf)

        side = 2 * search_radius + 1
        lowest, best = energy.flatten(2).min(dim=-1)
        row = torch.div(best, side, rounding_mode="floor")
        column = best - row * side
        if subcell == "mean":
            posterior = torch.softmax(-energy.flatten(2), dim=-1).view_as(energy)
            move_x = (posterior.sum(dim=-2) * steps).sum(dim=-1)
            move_y = (posterior.sum(dim=-1) * steps).sum(dim=-1)
        else:
            move_x, move_y = steps[column], steps[row]
            if subcell == "parabola":
                move_x = move_x + _parabola_offset(energy, row, column, axis=-1)
                move_y = move_y + _parabola_offset(energy, row, column, axis=-2)
        moves = torch.stack((move_x, move_y), dim=-1)
        targets = centers.to(observed.dtype) + moves.to(observed.dtype)

        lowest = torch.where(finite, lowest, math.inf)
        keep = ~torch.isfinite(lowest)
        if visible is not None:
            hidden = visible <= 0
            keep = keep | hidden
            lowest = torch.where(hidden, 0, lowest)
        targets = torch.where(keep[..., None], observed, targets)
    return targets, lowest


def curve_tangents(
    points: Tensor,
    curves: Sequence[Sequence[int]],
    visible: Tensor | None = None,
) -> Tensor:
    """Directions of the curves that landmarks lie on, by central differences.

    A landmark's tangent joins its two neighbours on its curve; at a curve's
    end, or next to a landmark that is not visible, it joins the landmark
    itself and the one neighbour left.

    Args:
        points: ``(B, K, 2)`` float ``(x, y)``.
        curves: Landmark indices of each open curve, in order. A landmark is
            on one curve at most.
        visible: ``(B, K)``; points with 0 are not looked at.

    Returns:
        ``(B, K, 2)`` unit vectors; zero for landmarks that are on no curve,
        not visible, or whose neighbours all are not visible or coincide.

    Raises:
        ValueError: If an index is out of range or on two curves.

    Example:
        >>> points = torch.tensor([[[0.0, 0.0], [2.0, 0.0], [2.0, 5.0]]])
        >>> curve_tangents(points, [[0, 1]])[0].tolist()
        [[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]
    """
    members = [int(k) for curve in curves for k in curve]
    wrong = [k for k in members if not 0 <= k < points.shape[1]]
    if wrong or len(set(members)) != len(members):
        raise ValueError(
            f"curves must hold each of the {points.shape[1]} landmarks once at most, "
            f"got {[list(curve) for curve in curves]}"
        )
    seen = torch.isfinite(points).all(dim=-1)
    if visible is not None:
        seen = seen & (visible > 0)
    tangents = torch.zeros_like(points)
    for curve in curves:
        index = torch.as_tensor(list(curve), device=points.device)
        here, shown = points[:, index], seen[:, index, None]
        before = torch.cat((here[:, :1], here[:, :-1]), dim=1)
        after = torch.cat((here[:, 1:], here[:, -1:]), dim=1)
        before_shown = torch.cat((shown[:, :1], shown[:, :-1]), dim=1)
        after_shown = torch.cat((shown[:, 1:], shown[:, -1:]), dim=1)
        chord = torch.where(after_shown, after, here)
        chord = chord - torch.where(before_shown, before, here)
        tangents[:, index] = torch.where(shown, chord, 0)
    length = tangents.norm(dim=-1, keepdim=True)
    return torch.where(length > 0, tangents / length, 0)


def chi_square_loss(
    heatmaps: Tensor,
    centers: Tensor,
    *,
    patch_radius: int,
    sigma: float,
    sigma_likelihood: float = 1.0,
    visible: Tensor | None = None,
) -> Tensor:
    """The paper's training step: ``chi2(y) / (2 sigma_likelihood^2)``.

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
    _check_heatmaps(heatmaps, centers)
    _check_radius("patch_radius", patch_radius)
    # The target may be half a cell off the patch's middle on both axes.
    _check_sigma(patch_radius + 0.5, sigma)
    _check_positive("sigma_likelihood", sigma_likelihood)
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


def pearson_chi_square(
    observed: Tensor, expected: Tensor, *, floor: float = 0.0
) -> Tensor:
    """Elementwise ``(E - Phi)^2 / max(E, floor)``.

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


def _gaussian_exponent(radius, sigma, dtype, device) -> Tensor:
    """``d^2 / (2 sigma^2)`` for ``d = -radius .. radius``: ``(2 radius + 1,)``."""
    steps = torch.arange(-radius, radius + 1, dtype=dtype, device=device)
    return steps.square() / (2 * sigma**2)


def _banded(profile: Tensor, search_radius: int) -> Tensor:
    """Matrix whose row ``r`` holds ``profile`` shifted by ``r`` columns.

    ``profile (2P + 1,)`` gives ``(2R + 1, 2R + 2P + 1)``; its product with a
    column of cells correlates the column with the profile.
    """
    rows = 2 * search_radius + 1
    matrix = profile.new_zeros(rows, rows + len(profile) - 1)
    for row in range(rows):
        matrix[row, row : row + len(profile)] = profile
    return matrix


def _crop(maps: Tensor, centers: Tensor, radius: int) -> Tensor:
    """Square crops ``(N, 2 radius + 1, 2 radius + 1)``, zero outside.

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


def _parabola_offset(energy: Tensor, row: Tensor, column: Tensor, axis: int) -> Tensor:
    """Vertex of the parabola through the minimum and its two neighbours.

    In cells from the minimum, within [-0.5, 0.5]; 0 at the neighbourhood's
    edge and where the neighbours are not finite.
    """
    line_index = (row if axis == -1 else column)[..., None, None]
    position = (column if axis == -1 else row)[..., None]
    lines = energy if axis == -1 else energy.transpose(-1, -2)
    side = lines.shape[-1]
    line = lines.gather(-2, line_index.expand(*row.shape, 1, side)).squeeze(-2)
    before = line.gather(-1, (position - 1).clamp(min=0)).squeeze(-1)
    middle = line.gather(-1, position).squeeze(-1)
    after = line.gather(-1, (position + 1).clamp(max=side - 1)).squeeze(-1)
    curvature = before - 2 * middle + after
    offset = 0.5 * (before - after) / curvature
    position = position.squeeze(-1)
    usable = (position > 0) & (position < side - 1) & torch.isfinite(offset)
    usable = usable & (curvature > 0)
    return torch.where(usable, offset.clamp(-0.5, 0.5), 0)


def _check_sigma(rim: float, sigma: float) -> None:
    """``1 / E`` must be representable ``rim`` cells off on both axes."""
    _check_positive("sigma", sigma)
    if (rim / sigma) ** 2 > _MAX_EXPONENT:
        raise ValueError(
            f"patch_radius is too large for sigma={sigma}: 1 / E overflows at the "
            f"patch's corner. Use patch_radius <= {int(26 * sigma)}; 2 * sigma "
            "or less is a sane choice."
        )


def _check_heatmaps(heatmaps: Tensor, points: Tensor) -> None:
    if heatmaps.dim() != 4 or not heatmaps.is_floating_point():
        raise ValueError(
            "heatmaps must be a floating-point tensor (B, K, H, W), got "
            f"{heatmaps.dtype} {tuple(heatmaps.shape)}"
        )
    expected = (*heatmaps.shape[:2], 2)
    if tuple(points.shape) != expected:
        raise ValueError(
            f"expected {expected} (x, y) positions for heatmaps of shape "
            f"{tuple(heatmaps.shape)}, got {tuple(points.shape)}"
        )


def _check_radius(name: str, value: int) -> None:
    if int(value) != value or value < 0:
        raise ValueError(f"{name} must be a non-negative integer, got {value}")


def _per_landmark(name: str, values: float | Sequence[float], landmarks: int) -> Tensor:
    """Positive float64 values ``(K, 1, 1)``, or ``(1, 1, 1)`` for one number."""
    values = torch.as_tensor(values, dtype=torch.float64).flatten()
    if len(values) not in (1, landmarks):
        raise ValueError(
            f"{name} must be one number or one for each of the {landmarks} "
            f"landmarks, got {len(values)}"
        )
    for value in values.tolist():
        _check_positive(name, value)
    return values[:, None, None]


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        raise ValueError(f"{name} must be positive, got {value}")
