"""The search of a batch: from a head's heatmaps to positions in the image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from mmpose.structures import PoseDataSample
from torch import Tensor

from semamb_mm.functional import curve_tangents, search_latent_targets

from .options import check_options
from .warp import InputWarp, check_warp, input_warp

ANCHORS = ("previous", "annotation")
DEFAULT_SEARCH = dict(
    search_radius=8,
    patch_radius=None,
    sigma=None,
    sigma_prior=4.0,
    sigma_likelihood=2.0,
    subcell="mean",
    curves=None,
    sigma_normal=None,
)


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
        at_edge: ``(B, K)`` bool: the minimum lies on the neighbourhood's rim.
    """

    indices: Tensor
    found: Tensor
    energies: Tensor
    searched: Tensor
    at_edge: Tensor

    @classmethod
    def join(cls, results: Sequence[SearchResult]) -> SearchResult:
        """Return the results of several batches as one."""
        names = [field.name for field in fields(cls)]
        return cls(**{n: torch.cat([getattr(r, n) for r in results]) for n in names})


class BatchSearch:
    """Searches the latent targets of a batch.

    Args:
        options: As :func:`complete_search_options` returns them.
        scale_factor: ``(2,)`` input pixels in a heatmap cell, along x and y.
        anchor: What the prior holds on to, one of :data:`ANCHORS`.
        use_udp: Whether ``TopdownAffine`` ran with ``use_udp=True``.
        freeze: Landmarks that are not searched, in the annotation's order.
    """

    def __init__(
        self,
        options: dict,
        scale_factor: np.ndarray,
        anchor: str,
        use_udp: bool,
        freeze: Sequence[int] = (),
    ) -> None:
        self.options = options
        self.scale_factor = np.asarray(scale_factor, dtype=np.float64)
        self.anchor = anchor
        self.use_udp = use_udp
        self.freeze = list(freeze)

    def __call__(
        self, heatmaps: Tensor, data_samples: Sequence[PoseDataSample]
    ) -> SearchResult:
        """Search heatmaps ``(B, K, H, W)`` of samples as ``PackPoseInputs`` packs them.

        Raises:
            RuntimeError: If a transform moved landmarks that cannot be followed.
        """
        warps = [input_warp(sample, use_udp=self.use_udp) for sample in data_samples]
        for warp, sample in zip(warps, data_samples):
            check_warp(warp, sample)
        observed = self._observed(warps, data_samples)
        weights = [s.gt_instance_labels.keypoint_weights for s in data_samples]
        visible = torch.cat(weights).view(len(data_samples), -1).cpu() > 0
        cells, energies = search_heatmaps(
            heatmaps,
            observed.to(heatmaps.device, torch.float32),
            visible.to(heatmaps.device),
            self.options,
        )
        cells, energies = cells.double().cpu(), energies.cpu()
        rim = (cells - observed).abs().amax(-1) > self.options["search_radius"] - 0.5
        inputs = cells.numpy() * self.scale_factor
        images = [warp.to_image(points) for warp, points in zip(warps, inputs)]
        order = torch.from_numpy(np.stack([warp.order for warp in warps]))

        def annotated(values: Tensor) -> Tensor:
            """Return values of the input's landmarks in the annotation's order."""
            return torch.empty_like(values).scatter_(1, order, values)

        searched = annotated(visible)
        searched[:, self.freeze] = False
        rows = [int(s.gt_instances.latent_index[0]) for s in data_samples]
        return SearchResult(
            indices=torch.tensor(rows),
            found=torch.from_numpy(np.stack(images)),
            energies=annotated(energies),
            searched=searched,
            at_edge=annotated(rim & visible),
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


def search_heatmaps(
    heatmaps: Tensor, observed: Tensor, visible: Tensor, options: dict
) -> tuple[Tensor, Tensor]:
    """Call :func:`semamb_mm.functional.search_latent_targets` with a head's options.

    Args:
        heatmaps: ``(B, K, H, W)``.
        observed: ``(B, K, 2)`` cells.
        visible: ``(B, K)``.
        options: As :func:`complete_search_options` returns them.

    Returns:
        ``(B, K, 2)`` cells and ``(B, K)`` energies.
    """
    options = dict(options)
    curves = options.pop("curves")
    if curves:
        options["tangents"] = curve_tangents(observed, curves, visible)
    return search_latent_targets(heatmaps, observed, visible=visible, **options)


def complete_search_options(
    search: dict | None, codec_sigma: float, num_keypoints: int, owner: str
) -> dict:
    """Return all options of the search, checked.

    Args:
        search: The options that are given; the others are :data:`DEFAULT_SEARCH`'s.
        codec_sigma: Standard deviation of the codec's Gaussians, in cells.
        num_keypoints: ``K``.
        owner: Who is configured, for the messages.

    Raises:
        ValueError: On an unknown option or a wrong value.
    """
    options = dict(DEFAULT_SEARCH, **(search or {}))
    if options["sigma"] is None:
        options["sigma"] = codec_sigma
    if options["patch_radius"] is None:
        options["patch_radius"] = max(1, int(options["sigma"]))
    stand_ins = (
        torch.zeros(1, num_keypoints, 1, 1),
        torch.zeros(1, num_keypoints, 2),
        torch.ones(1, num_keypoints),
    )
    check_options(
        f"{owner}: unknown search option",
        DEFAULT_SEARCH,
        options,
        lambda: search_heatmaps(*stand_ins, options),
    )
    return options
