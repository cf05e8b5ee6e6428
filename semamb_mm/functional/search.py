"""Semantic alignment's search for a landmark's real position.

Liu et al., "Semantic Alignment: Finding Semantically Consistent Ground-truth
for Facial Landmark Detection", CVPR 2019 (arXiv 1903.10661).

Symbols: ``o`` the observed landmark (the annotation, later the previous
target), ``y`` its latent real position; the others in
:mod:`~semamb_mm.functional.chi_square`. All positions are ``(x, y)`` in heatmap
cells; a cell's centre is an integer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ._checks import check_heatmaps, check_positive
from .chi_square import ChiSquareFilters
from .devices import send

SUBCELL_MODES = ("none", "parabola", "mean")


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
    step: float = 1.0,
    per_cell: bool = False,
    return_edge: bool = False,
) -> tuple[Tensor, ...]:
    """Return where the real landmark is near the observed: the paper's search step.

    The minimiser over the ``(2R + 1)^2`` cells around ``o`` of
    ``||o - y||^2 / (2 sigma_prior^2) + chi2(y) / (2 sigma_likelihood^2)``.
    The neighbourhood is centred on the cell nearest to ``o``; the prior is
    measured from ``o`` itself. With a ``step`` other than 1 the candidates, and the
    samples of the patches, lie so many cells apart.

    Args:
        heatmaps: ``(B, K, H, W)`` predicted heatmaps; no gradient is kept.
        observed: ``(B, K, 2)`` float ``(x, y)`` in cells.
        search_radius: ``R`` in steps; 8 gives the paper's 17 x 17 neighbourhood.
        patch_radius: ``P`` of :func:`chi_square_map`, in steps.
        sigma: Standard deviation of the ideal patch, in cells.
        sigma_prior: The paper's sigma_1, in cells; one number, or K of them.
        sigma_likelihood: The paper's sigma_2, in units of sqrt(chi-square);
            one number, or K of them. The larger, the less a landmark's
            heatmap is trusted.
        visible: ``(B, K)``; landmarks with 0 keep their observed position
            and get energy 0.
        subcell: ``'none'`` gives the minimising cell (the paper's);
            ``'parabola'`` refines it by at most half a step with a parabola
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
        step: Cells between neighbouring candidates. Below 1 a coarse heatmap is
            searched as finely as a fine one, above 1 a fine one as cheaply as a
            coarse one: see :func:`chi_square_map`.
        per_cell: Take chi-square's mean over the patch's samples in place of the
            paper's sum, so that ``sigma_likelihood`` does not depend on the
            patch's size.
        return_edge: Return a third tensor, too.

    Returns:
        ``targets (B, K, 2)`` float ``(x, y)`` cells of ``observed``'s dtype,
        and ``energy (B, K)``, the objective at the minimising cell.
        A landmark whose observation or whose whole energy is not finite
        keeps its observed position; its energy is infinite.
        With ``return_edge`` also ``at_edge (B, K)`` bool: the minimising cell lies
        on the neighbourhood's rim, so that the real minimum may lie beyond.

    Raises:
        ValueError: On wrong shapes, non-positive sigmas, another number of
            them than landmarks, or an unknown mode.
        TypeError: If ``observed`` is not of a floating-point type.

    Example:
        >>> from semamb_mm.functional import gaussian_patch
        >>> patch = gaussian_patch(8, 2.0)[None, None]
        >>> targets, energy = search_latent_targets(
        ...     patch, torch.tensor([[[6.0, 9.0]]]), search_radius=4,
        ...     patch_radius=3, sigma=2.0, sigma_prior=8.0, sigma_likelihood=1.0)
        >>> targets
        tensor([[[8., 8.]]])
    """
    check_heatmaps(heatmaps, observed)
    maps = heatmaps.detach()
    filters = ChiSquareFilters(search_radius, patch_radius, sigma, step, maps)
    return search_filtered(
        filters,
        maps,
        observed,
        steps=step * torch.arange(-search_radius, search_radius + 1),
        sigma_prior=sigma_prior,
        sigma_likelihood=sigma_likelihood,
        visible=visible,
        subcell=subcell,
        tangents=tangents,
        sigma_normal=sigma_normal,
        samples=2 * patch_radius + 1 if per_cell else 1,
        dtype=torch.promote_types(heatmaps.dtype, torch.float32),
        return_edge=return_edge,
    )


def search_filtered(
    filters,
    maps,
    observed: Tensor,
    *,
    steps: Tensor,
    sigma_prior: float | Sequence[float],
    sigma_likelihood: float | Sequence[float],
    visible: Tensor | None,
    subcell: str,
    tangents: Tensor | None,
    sigma_normal: float | Sequence[float] | None,
    samples: int,
    dtype: torch.dtype,
    return_edge: bool,
    scale: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Return what :func:`search_latent_targets` returns, given the filters.

    Args:
        filters: :class:`ChiSquareFilters`, or what is called alike.
        maps: What they take, of all landmarks.
        observed: As there; so are the arguments that are not described here.
        steps: ``(S,)`` from the neighbourhood's middle to the candidates, on each axis.
        sigma_prior: See ``observed``.
        sigma_likelihood: See ``observed``.
        visible: See ``observed``.
        subcell: See ``observed``.
        tangents: See ``observed``.
        sigma_normal: See ``observed``.
        samples: What to divide chi-square by, squared.
        dtype: Of the energies.
        return_edge: See ``observed``.
        scale: ``(2,)`` how many units of ``steps``, of the sigmas and of the tangents a
            cell is, along x and along y. 1 by default.
    """
    _check_options(observed, visible, subcell, tangents, sigma_normal)
    batch, landmarks = observed.shape[:2]
    prior = _per_landmark("sigma_prior", sigma_prior, batch, landmarks)
    likelihood = _per_landmark("sigma_likelihood", sigma_likelihood, batch, landmarks)
    normal = None
    if sigma_normal is not None:
        normal = _per_landmark("sigma_normal", sigma_normal, batch, landmarks)

    with torch.no_grad():
        finite = torch.isfinite(observed).all(dim=-1)
        anchors = torch.where(finite[..., None], observed, 0)
        centers = anchors.round().clamp(-1e6, 1e6).long()
        scale = torch.ones(2) if scale is None else scale
        scale = send(scale.to(observed.dtype), observed.device)
        energies = _Energies(
            ((centers - anchors) * scale).flatten(0, 1),
            steps,
            prior,
            likelihood * samples,
            None if tangents is None else tangents.flatten(0, 1),
            normal,
            filters.dtype,
        )
        parts = []
        for rows, chi_square in filters.chunks(maps, centers.flatten(0, 1)):
            energy = energies(chi_square, rows)
            parts.append(_minimum(energy, energies.steps, subcell))
        lowest, moves, at_edge = (torch.cat(part) for part in zip(*parts))
        moves = moves.view(observed.shape)
        lowest, at_edge = (v.view(observed.shape[:2]) for v in (lowest, at_edge))
        targets = centers.to(observed.dtype) + moves.to(observed.dtype) / scale

        lowest = torch.where(finite, lowest, math.inf).to(dtype)
        keep = ~torch.isfinite(lowest)
        if visible is not None:
            hidden = visible <= 0
            keep = keep | hidden
            lowest = torch.where(hidden, 0, lowest)
        targets = torch.where(keep[..., None], observed, targets)
    return (targets, lowest, at_edge & ~keep) if return_edge else (targets, lowest)


def _check_options(
    observed: Tensor,
    visible: Tensor | None,
    subcell: str,
    tangents: Tensor | None,
    sigma_normal: float | Sequence[float] | None,
) -> None:
    """Refuse what does not fit the observed positions, or each other."""
    if not observed.is_floating_point():
        raise TypeError(f"observed must be floating point, got {observed.dtype}")
    if (tangents is None) != (sigma_normal is None):
        raise ValueError("tangents and sigma_normal go together: give both or none")
    if tangents is not None and tangents.shape != observed.shape:
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


class _Energies:
    """Adds the prior to the likelihood of the candidates of some landmarks.

    Args:
        distance: ``(N, 2)`` from what was observed to the neighbourhood's middle.
        steps: ``(S,)`` from there to the candidates, along both axes.
        prior: ``(N,)`` or ``(1,)``, sigma_1.
        likelihood: The same of sigma_2.
        tangents: ``(N, 2)`` or None.
        normal: As ``prior``, across the tangents; with them only.
        dtype: To compute in.

    Attributes:
        steps: ``(S,)`` in ``dtype``.
    """

    def __init__(
        self,
        distance: Tensor,
        steps: Tensor,
        prior: Tensor,
        likelihood: Tensor,
        tangents: Tensor | None,
        normal: Tensor | None,
        dtype: torch.dtype,
    ) -> None:
        def placed(values: Tensor) -> Tensor:
            # The type first: not every device has float64.
            return send(values.to(dtype), distance.device)

        self.steps = placed(steps)
        # (N, 2, S): of the candidates on each axis.
        self._distance = placed(distance)[:, :, None] + self.steps
        weights = placed(0.5 / prior**2).expand(len(distance))
        self._prior = self._distance.square() * weights[:, None, None]
        self._likelihood = placed(0.5 / likelihood**2).expand(len(distance))
        self._tangents = None
        if tangents is not None and normal is not None:
            self._tangents = placed(tangents)
            excess = 0.5 / normal**2 - 0.5 / prior**2
            self._excess = placed(excess).expand(len(distance))

    def __call__(self, chi_square: Tensor, rows: slice) -> Tensor:
        """Return the objective ``(n, S, S)``, infinite where it is no number.

        Args:
            chi_square: ``(n, S, S)``, overwritten.
            rows: The landmarks that it is of.
        """
        energy = chi_square.mul_(self._likelihood[rows, None, None])
        energy += self._prior[rows, 0, None, :]
        energy += self._prior[rows, 1, :, None]
        if self._tangents is not None:
            distance = self._distance[rows]
            x, y = self._tangents[rows, :, None].unbind(1)
            across = (-y * distance[:, 0])[:, None, :] + (x * distance[:, 1])[..., None]
            energy += across.square_().mul_(self._excess[rows, None, None])
        return energy.nan_to_num_(nan=math.inf, posinf=math.inf)


def _minimum(
    energy: Tensor, steps: Tensor, subcell: str
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the lowest energy ``(n,)``, where it is, and whether on the rim.

    The second, ``(n, 2)``, is ``(x, y)`` in cells from the neighbourhood's middle,
    refined as ``subcell`` says; ``steps (S,)`` are the candidates' offsets. The third,
    ``(n,)``, is about the minimising candidate itself.
    """
    side = len(steps)
    # The row first: the least values alone come many times faster than with places.
    lowest, row = energy.amin(-1).min(dim=-1)
    lines = energy.gather(1, row[:, None, None].expand(-1, 1, side)).squeeze(1)
    column = lines.min(dim=-1).indices
    last = side - 1
    at_edge = (row == 0) | (row == last) | (column == 0) | (column == last)
    if subcell == "mean":
        return lowest, _posterior_mean(energy, lowest, steps), at_edge
    move_x, move_y = steps[column], steps[row]
    if subcell == "parabola" and side > 1:
        spacing = steps[1] - steps[0]
        move_x = move_x + spacing * _parabola_offset(energy, row, column, axis=-1)
        move_y = move_y + spacing * _parabola_offset(energy, row, column, axis=-2)
    return lowest, torch.stack((move_x, move_y), dim=-1), at_edge


def _posterior_mean(energy: Tensor, lowest: Tensor, steps: Tensor) -> Tensor:
    """Return the mean of ``exp(-energy)``, ``(n, 2)``."""
    posterior = torch.exp(lowest[:, None, None] - energy)
    columns, rows = posterior.sum(1), posterior.sum(2)
    moves = torch.stack((columns, rows), 1) * steps
    return moves.sum(-1) / rows.sum(-1, keepdim=True)


def _parabola_offset(energy: Tensor, row: Tensor, column: Tensor, axis: int) -> Tensor:
    """Return the vertex of the parabola through the minimum and its two neighbours.

    In steps from the minimum, within [-0.5, 0.5]; 0 at the neighbourhood's
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


def _per_landmark(
    name: str, values: float | Sequence[float], batch: int, landmarks: int
) -> Tensor:
    """Return positive float64 values ``(batch * K,)``, or ``(1,)`` for one number."""
    numbers = torch.as_tensor(values, dtype=torch.float64).flatten()
    if len(numbers) not in (1, landmarks):
        raise ValueError(
            f"{name} must be one number or one for each of the {landmarks} "
            f"landmarks, got {len(numbers)}"
        )
    for number in numbers.tolist():
        check_positive(name, number)
    return numbers if len(numbers) == 1 else numbers.repeat(batch)
