"""The search of a batch: from a head's heatmaps to positions in the image.

Its options are lengths in units of the codec's sigma and chi-square per cell of the
patch, so that they mean the same at every resolution.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from mmpose.structures import PoseDataSample
from torch import Tensor

from semamb_mm.functional import (
    curve_tangents,
    search_latent_targets,
    search_separable_targets,
)
from semamb_mm.functional.devices import send

from .options import check_options
from .warp import InputWarp, check_warp, input_warp

ANCHORS = ("previous", "annotation")
# Lengths in units of the codec's sigma; see LatentTargetHook's ``search``. Chosen by
# studies/search_defaults.py.
DEFAULT_SEARCH = dict(
    radius=16 / 3,
    patch_radius=2 / 3,
    prior=None,
    likelihood=0.2,
    step=None,
    subcell="mean",
    curves=None,
    prior_across=None,
)
# The default prior. Alone it is what holds on to the annotation; consensus does that
# itself, and wants to know what the heatmap says.
PRIOR_ALONE, PRIOR_WITH_CONSENSUS = 0.8, 16 / 3
# The default step, of heatmaps (where it is more than a cell, in whole cells) and of
# separable ones. Finer ones cost more and find no more.
STEP, SEPARABLE_STEP = 2 / 3, 1 / 3


@dataclass(frozen=True)
class SearchGrid:
    """What the search must know of the heatmaps that a head makes.

    Attributes:
        scale_factor: Input pixels in a heatmap cell (or bin), along x and y.
        sigma: Standard deviation of the codec's Gaussians along x and y, in cells.
        separable: Whether the head makes a distribution along x and one along y
            in place of a heatmap.
    """

    scale_factor: tuple[float, float]
    sigma: tuple[float, float]
    separable: bool = False

    @classmethod
    def of_codec(
        cls, codec: object, *, sigma: float | None = None, separable: bool = False
    ) -> SearchGrid:
        """Return the grid of a codec with ``scale_factor`` and ``sigma``.

        Args:
            codec: The head's decoder.
            sigma: Of the ideal patch, if not the codec's.
            separable: As the attribute.
        """
        x, y = np.broadcast_to(codec.scale_factor, 2).astype(float).tolist()
        given = codec.sigma if sigma is None else sigma
        along_x, along_y = np.broadcast_to(given, 2).astype(float).tolist()
        return cls((x, y), (along_x, along_y), separable)


@dataclass(frozen=True)
class SearchResult:
    """What the search found in some samples, on the CPU.

    Positions are image pixels, landmarks are in the annotation's order.

    Attributes:
        indices: ``(B,)`` rows of the store.
        found: ``(B, K, 2)`` float64 positions.
        energies: ``(B, K)`` the objective at its minimum.
        searched: ``(B, K)`` bool; False where the landmark was not visible or is
            frozen, and keeps its target.
        at_edge: ``(B, K)`` bool: the minimising candidate lies on the
            neighbourhood's rim.
        views: ``(B,)`` which view of the sample within the epoch; the same number
            twice is the same view.
    """

    indices: Tensor
    found: Tensor
    energies: Tensor
    searched: Tensor
    at_edge: Tensor
    views: Tensor

    @classmethod
    def join(cls, results: Sequence[SearchResult]) -> SearchResult:
        """Return the results of several batches as one."""
        names = [field.name for field in fields(cls)]
        return cls(**{n: torch.cat([getattr(r, n) for r in results]) for n in names})

    def take(self, places: Tensor) -> SearchResult:
        """Return the results of some of the samples."""
        names = [field.name for field in fields(self)]
        return SearchResult(**{n: getattr(self, n)[places] for n in names})

    def compact(self) -> SearchResult:
        """Return the same in as few bytes as the store keeps of it."""
        limit = torch.finfo(torch.float16).max
        energies = torch.where(
            torch.isfinite(self.energies), self.energies.clamp(max=limit), self.energies
        )
        return replace(self, found=self.found.float(), energies=energies.half())


class BatchSearch:
    """Searches the latent targets of a batch.

    Args:
        options: As :func:`complete_search_options` returns them.
        grid: What the head's heatmaps are like.
        anchor: What the prior holds on to, one of :data:`ANCHORS`.
        use_udp: Whether ``TopdownAffine`` ran with ``use_udp=True``.
        freeze: Landmarks that are not searched, in the annotation's order.
    """

    def __init__(
        self,
        options: dict,
        grid: SearchGrid,
        anchor: str,
        use_udp: bool,
        freeze: Sequence[int] = (),
    ) -> None:
        self.options = options
        self.grid = grid
        self.scale_factor = np.asarray(grid.scale_factor, dtype=np.float64)
        self.anchor = anchor
        self.use_udp = use_udp
        self.freeze = list(freeze)

    def __call__(
        self,
        heatmaps: Tensor | tuple[Tensor, ...],
        data_samples: Sequence[PoseDataSample],
    ) -> SearchResult:
        """Search the heatmaps of samples as ``PackPoseInputs`` packs them.

        Args:
            heatmaps: ``(B, K, H, W)``; of a separable grid ``(B, K, Wx)`` along x and
                ``(B, K, Wy)`` along y.
            data_samples: ``B`` of them.

        Raises:
            RuntimeError: If a transform moved landmarks that cannot be followed.
        """
        warps = [input_warp(sample, use_udp=self.use_udp) for sample in data_samples]
        for warp, sample in zip(warps, data_samples):
            check_warp(warp, sample)
        observed = self._observed(warps, data_samples).float()
        device = heatmaps[0].device
        weights = send(landmark_weights(data_samples), device)
        cells, *others = search_heatmaps(
            heatmaps, send(observed, device), weights > 0, self.options, self.grid
        )
        # At once: the host waits for the device as seldom as can be.
        others = [values[..., None].to(cells) for values in (*others, weights > 0)]
        cells, energies, *flags = (
            torch.cat([cells, *others], -1).cpu().split([2, 1, 1, 1], dim=-1)
        )
        energies = energies.squeeze(-1)
        at_edge, visible = (flag.squeeze(-1) > 0 for flag in flags)
        inputs = cells.double().numpy() * self.scale_factor
        images = [warp.to_image(points) for warp, points in zip(warps, inputs)]
        order = torch.from_numpy(np.stack([warp.order for warp in warps]))

        def annotated(values: Tensor) -> Tensor:
            """Return values of the input's landmarks in the annotation's order."""
            return torch.empty_like(values).scatter_(1, order, values)

        searched = annotated(visible)
        searched[:, self.freeze] = False
        rows = [int(s.gt_instances.latent_index[0]) for s in data_samples]
        views = [int(s.gt_instances.latent_view[0]) for s in data_samples]
        return SearchResult(
            indices=torch.tensor(rows),
            found=torch.from_numpy(np.stack(images)),
            energies=annotated(energies),
            searched=searched,
            at_edge=annotated(at_edge),
            views=torch.tensor(views),
        )

    def _observed(
        self, warps: list[InputWarp], data_samples: Sequence[PoseDataSample]
    ) -> Tensor:
        """Return what the prior holds on to: ``(B, K, 2)`` float64 cells."""
        instances = [sample.gt_instances for sample in data_samples]
        if self.anchor == "previous":
            points = [i.transformed_keypoints[0, :, :2] for i in instances]
        else:
            points = [
                warp.to_input(i.annotated_keypoints[0])
                for warp, i in zip(warps, instances)
            ]
        return torch.as_tensor(np.stack(points), dtype=torch.float64) / torch.as_tensor(
            self.scale_factor
        )


def landmark_weights(data_samples: Sequence[PoseDataSample]) -> Tensor:
    """Return the weights ``(B, K)`` with which a batch's landmarks are trained.

    Those of the last level where heatmaps of several levels are trained.
    """
    weights = [s.gt_instance_labels.keypoint_weights for s in data_samples]
    return torch.stack([w.reshape(-1, w.shape[-1])[-1] for w in weights])


def search_heatmaps(
    heatmaps: Tensor | tuple[Tensor, ...],
    observed: Tensor,
    visible: Tensor,
    options: dict,
    grid: SearchGrid,
) -> tuple[Tensor, ...]:
    """Call the search of :mod:`semamb_mm.functional` with the hook's options.

    Args:
        heatmaps: ``(B, K, H, W)``; of a separable grid ``(B, K, Wx)`` along x and
            ``(B, K, Wy)`` along y.
        observed: ``(B, K, 2)`` cells.
        visible: ``(B, K)``.
        options: As :func:`complete_search_options` returns them.
        grid: What the heatmaps are like.

    Returns:
        ``(B, K, 2)`` cells, ``(B, K)`` energies and ``(B, K)`` bool, at the edge.
    """
    search = search_separable_targets if grid.separable else search_latent_targets
    in_cells = options_in_cells(options, grid)
    if options["curves"]:
        in_cells["tangents"] = curve_tangents(observed, options["curves"], visible)
    return search(heatmaps, observed, visible=visible, return_edge=True, **in_cells)


def options_in_cells(options: dict, grid: SearchGrid) -> dict:
    """Return what the search of :mod:`semamb_mm.functional` takes.

    All but ``tangents``, which ``curves`` of each batch give.

    Args:
        options: As :func:`complete_search_options` returns them.
        grid: What the heatmaps are like.
    """
    sigma = float(np.mean(grid.sigma))
    step = options["step"]
    if step is None and grid.separable:
        step = SEPARABLE_STEP
    elif step is None:
        # Between the cells only where they are coarser.
        step = max(1, round(STEP * sigma)) / sigma if STEP * sigma > 1 else STEP
    step_in_cells = step * sigma
    if abs(step_in_cells - round(step_in_cells)) < 1e-6:
        step_in_cells = float(round(step_in_cells))  # nothing to interpolate

    def cells(length):
        return None if length is None else (np.asarray(length) * sigma).tolist()

    return dict(
        search_radius=_whole_steps(options["radius"] / step),
        patch_radius=_whole_steps(options["patch_radius"] / step),
        step=step_in_cells,
        sigma=grid.sigma if grid.separable else sigma,
        sigma_prior=cells(options["prior"]),
        sigma_likelihood=options["likelihood"],
        subcell=options["subcell"],
        sigma_normal=cells(options["prior_across"]),
        per_cell=True,
    )


def _whole_steps(length: float) -> int:
    """Return a radius in whole steps, at least 1 unless it is 0."""
    return max(1, round(length)) if length > 0 else 0


def complete_search_options(
    search: dict | None,
    grid: SearchGrid,
    num_keypoints: int,
    owner: str,
    consensus: bool = False,
) -> dict:
    """Return all options of the search, checked.

    Args:
        search: The options that are given; the others are :data:`DEFAULT_SEARCH`'s.
        grid: What the heatmaps are like.
        num_keypoints: ``K``.
        owner: Who is configured, for the messages.
        consensus: Whether consensus weighs what is found: for the prior's default.

    Raises:
        ValueError: On an unknown option or a wrong value.
    """
    check_search_names(search, owner)
    options = dict(DEFAULT_SEARCH, **(search or {}))
    if options["prior"] is None:
        options["prior"] = PRIOR_WITH_CONSENSUS if consensus else PRIOR_ALONE
    for name in ("radius", "patch_radius"):
        if not options[name] >= 0:
            raise ValueError(
                f"{owner}: search's {name} must be 0 or more sigmas, got "
                f"{options[name]}"
            )
    for name in ("prior", "likelihood", "prior_across"):
        if options[name] is not None:
            _check_numbers(f"{owner}: search's {name}", options[name], num_keypoints)
    if (not options["curves"]) != (options["prior_across"] is None):
        raise ValueError(
            f"{owner}: search's curves and prior_across go together: give both or none"
        )
    if options["step"] is not None and not options["step"] > 0:
        raise ValueError(
            f"{owner}: search's step must be a positive number of sigmas, got "
            f"{options['step']}"
        )
    profile = torch.zeros(1, num_keypoints, 1)
    stand_ins = (
        (profile, profile) if grid.separable else profile[..., None],
        torch.zeros(1, num_keypoints, 2),
        torch.ones(1, num_keypoints),
    )
    search_heatmaps(*stand_ins, options, grid)
    return options


def check_search_names(search: dict | None, owner: str) -> None:
    """Refuse an option that the search does not have.

    Raises:
        ValueError: If there is one; it names it.
    """
    check_options(
        f"{owner}: unknown search option", DEFAULT_SEARCH, search or {}, lambda: None
    )


def _check_numbers(name: str, values: float | Iterable[float], count: int) -> None:
    """Refuse what is neither a positive number nor ``count`` of them."""
    numbers = np.asarray(values, dtype=np.float64).ravel()
    if len(numbers) not in (1, count):
        raise ValueError(
            f"{name} must be one number or one for each of the {count} landmarks, "
            f"got {len(numbers)}"
        )
    if not (numbers > 0).all() or not np.isfinite(numbers).all():
        raise ValueError(f"{name} must be positive, got {values}")
