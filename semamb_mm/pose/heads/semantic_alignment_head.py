from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from mmcv.cnn import build_conv_layer
from mmengine.structures import InstanceData
from mmpose.models.heads import CPMHead, HeatmapHead
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import OptConfigType, OptSampleList
from torch import Tensor, nn

from semamb_mm.functional import curve_tangents, search_latent_targets
from semamb_mm.pose.latent_targets.warp import InputWarp, check_warp, input_warp

ANCHORS = ("previous", "annotation")


@dataclass
class LatentSearch:
    """What one training iteration's search found, on the CPU.

    Attributes:
        indices: ``(B,)`` rows of the store.
        targets: ``(B, K, 2)`` float64 new targets, image pixels, in the
            annotation's landmark order.
        energies: ``(B, K)`` the objective at its minimum, same order.
        searched: ``(B, K)`` bool, same order; False where the landmark was
            not visible and keeps its target.
        at_edge: ``(B, K)`` bool: the minimum lies on the neighbourhood's rim.
    """

    indices: Tensor
    targets: Tensor
    energies: Tensor
    searched: Tensor
    at_edge: Tensor


@MODELS.register_module()
class SemanticAlignmentHead(CPMHead):
    """Heatmap head that searches each landmark's latent position.

    A :class:`mmpose.models.CPMHead`, multi-stage for MMPose's stacked
    ``HourglassNet`` or single-stage (``num_stages=1``, the last feature map)
    for any heatmap backbone. Training and prediction are CPMHead's. When
    :class:`LatentTargetHook` asks for it, the training step also searches the
    last stage's heatmaps for the latent targets of its samples
    (:func:`semamb_mm.functional.search_latent_targets`) and keeps the result
    for the hook. Without the hook it is a CPMHead.

    Args:
        in_channels (int | Sequence[int]): Channels of the feature maps.
        out_channels (int): Number of landmarks K.
        num_stages (int): Number of stages. Defaults to 1.
        conv_out_channels (Sequence[int], optional): Channels of convolutions
            before the final layer, as in :class:`mmpose.models.HeatmapHead`.
        conv_kernel_sizes (Sequence[int], optional): Their kernel sizes.
        final_layer (dict): The final convolution. Defaults to
            ``dict(kernel_size=1)``.
        search (dict, optional): ``search_radius``, ``patch_radius``,
            ``sigma``, ``sigma_prior``, ``sigma_likelihood`` and ``subcell``
            of the search, in heatmap cells (the prior's and the likelihood's
            sigma: one number, or one a landmark); also ``curves``, lists of
            landmarks that lie on one curve each, and ``sigma_normal``, the
            prior's sigma across them. ``sigma`` defaults to the decoder's,
            ``patch_radius`` to the whole cells in ``sigma``, the rest to
            :attr:`DEFAULT_SEARCH`.
        decoder (dict): A heatmap codec with ``scale_factor`` (``MSRAHeatmap``
            or ``UDPHeatmap``). Give it ``unbiased=True`` if it has the
            option, or moves below one cell are rounded away.
        refiner (dict, optional): A module that finds landmarks from the last
            stage's heatmaps, such as ``dict(type='GHCU')``; ``num_keypoints`` and
            ``heatmap_size`` default to the head's. It learns beside the detector,
            or alone under :class:`FrozenDetectorEstimator`. Predictions are then
            what its ``combine`` makes of both. ``keypoint_scores`` are the
            heatmaps' confidence, negative where a landmark was corrected, which
            is all that MMPose's inferencers pass on; ``keypoints_corrected``
            ``(1, K)`` of ``pred_instances`` says the same.
        **kwargs: The rest of CPMHead's arguments.

    Raises:
        ValueError: If the decoder is missing or is not a heatmap codec, or
            ``search`` has an unknown key or a wrong value.
    """

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

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int,
        num_stages: int = 1,
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: OptConfigType = dict(kernel_size=1),
        search: OptConfigType = None,
        decoder: OptConfigType = None,
        refiner: OptConfigType = None,
        **kwargs,
    ) -> None:
        if isinstance(in_channels, Sequence):
            in_channels = in_channels[-1]
        name = type(self).__name__
        convs = conv_out_channels or ()
        if len(convs) != len(conv_kernel_sizes or ()):
            raise ValueError(
                f"{name}: conv_out_channels {conv_out_channels} and "
                f"conv_kernel_sizes {conv_kernel_sizes} must have the same length"
            )
        super().__init__(
            in_channels,
            out_channels,
            num_stages,
            final_layer=None if convs else final_layer,
            decoder=decoder,
            **kwargs,
        )
        if convs:
            width = (kwargs.get("deconv_out_channels") or [in_channels])[-1]
            for stage in range(num_stages):
                self.multi_deconv_layers[stage] = nn.Sequential(
                    self.multi_deconv_layers[stage],
                    HeatmapHead._make_conv_layers(
                        self, width, convs, conv_kernel_sizes
                    ),
                )
                if final_layer is not None:
                    cfg = dict(dict(type="Conv2d", kernel_size=1), **final_layer)
                    self.multi_final_layers[stage] = build_conv_layer(
                        cfg, in_channels=convs[-1], out_channels=out_channels
                    )
        if getattr(self.decoder, "scale_factor", None) is None:
            raise ValueError(
                f"{name} needs decoder=dict(type='MSRAHeatmap', ...) or another "
                f"codec of one heatmap a landmark, got {decoder}"
            )
        unknown = set(search or {}) - set(self.DEFAULT_SEARCH)
        if unknown:
            raise ValueError(
                f"{name}: unknown search option {sorted(unknown)}; known are "
                f"{sorted(self.DEFAULT_SEARCH)}"
            )
        self.search = dict(self.DEFAULT_SEARCH, **(search or {}))
        if self.search["sigma"] is None:
            self.search["sigma"] = float(np.mean(self.decoder.sigma))
        if self.search["patch_radius"] is None:
            self.search["patch_radius"] = max(1, int(self.search["sigma"]))
        # A wrong option is an error now, not at the epoch the search starts.
        self._search_heatmaps(
            torch.zeros(1, out_channels, 1, 1),
            torch.zeros(1, out_channels, 2),
            torch.ones(1, out_channels),
        )
        self.refiner = None
        if refiner:
            defaults = dict(
                num_keypoints=out_channels, heatmap_size=self.decoder.heatmap_size
            )
            self.refiner = MODELS.build({**defaults, **refiner})
            for key, value in defaults.items():
                if not np.array_equal(getattr(self.refiner, key), value):
                    raise ValueError(
                        f"{name}: the refiner's {key} is "
                        f"{getattr(self.refiner, key)}, the head's {value}"
                    )
        # Set by FrozenDetectorEstimator: train the refiner alone.
        self.refine_only = False
        # Set by LatentTargetHook.
        self.searching = False
        self.anchor = "previous"
        self.use_udp = False
        self._heatmaps: Tensor | None = None
        self._found: LatentSearch | None = None

    def forward(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """Heatmaps ``(B, K, H, W)`` of every stage.

        Args:
            feats: One feature map a stage; a single-stage head takes the
                last one.
        """
        if self.num_stages == 1:
            feats = feats[-1:]
        # Mixed precision ends here: CPMHead's accuracy takes its heatmaps to
        # numpy, which has no bfloat16.
        heatmaps = [heatmap.float() for heatmap in super().forward(feats)]
        if self.training and (self.searching or self.refiner is not None):
            self._heatmaps = heatmaps[-1]
        return heatmaps

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: OptSampleList,
        train_cfg: OptConfigType = {},
    ) -> dict:
        """CPMHead's losses and the refiner's; searches latent targets if the hook
        asked.

        Raises:
            RuntimeError: If the refiner's targets have not been packed.
        """
        if self.refine_only:
            self._heatmaps = self.forward(feats)[-1]
            losses = {}
        else:
            losses = super().loss(feats, batch_data_samples, train_cfg)
        if self.refiner is not None:
            losses["loss_refiner"] = self.refiner.loss(
                self._heatmaps, *self._refiner_targets(batch_data_samples)
            )
        if self.searching:
            self._found = self._search(self._heatmaps.detach(), batch_data_samples)
        self._heatmaps = None
        return losses

    def decode(self, batch_outputs: Tensor) -> list[InstanceData]:
        """Keypoints and scores from heatmaps ``(B, K, H, W)``, refined."""
        predictions = super().decode(batch_outputs)
        if self.refiner is None:
            return predictions
        scale = batch_outputs.new_tensor(self.decoder.scale_factor)
        positions = batch_outputs.new_tensor(
            np.stack([p.keypoints[0] for p in predictions])
        )
        confidence = batch_outputs.new_tensor(
            np.stack([p.keypoint_scores[0] for p in predictions])
        )
        refined = self.refiner(batch_outputs) * scale
        positions, corrected = self.refiner.combine(positions, confidence, refined)
        # A corrected landmark whose heatmap is empty must have a sign, too.
        signed = -confidence.abs().clamp_min(1e-6)
        scores = torch.where(corrected, signed, confidence)
        for index, prediction in enumerate(predictions):
            prediction.keypoints = to_numpy(positions[index, None])
            prediction.keypoint_scores = to_numpy(scores[index, None])
            prediction.keypoints_corrected = to_numpy(corrected[index, None])
        return predictions

    def _refiner_targets(self, data_samples: OptSampleList) -> tuple[Tensor, Tensor]:
        """True positions ``(B, K, 2)`` in heatmap cells, and weights ``(B, K)``."""
        if "transformed_keypoints" not in data_samples[0].gt_instances:
            raise RuntimeError(
                "training a refiner needs the landmarks in the network's input: use "
                "dict(type='PackPoseInputs', pack_transformed=True) in the train "
                "pipeline"
            )
        positions = np.stack(
            [s.gt_instances.transformed_keypoints[0, :, :2] for s in data_samples]
        )
        weights = torch.cat(
            [s.gt_instance_labels.keypoint_weights for s in data_samples]
        )
        positions = torch.as_tensor(positions / self.decoder.scale_factor)
        return (
            positions.to(weights.device, torch.float32),
            weights.view(len(data_samples), -1),
        )

    def pop_search(self) -> LatentSearch | None:
        """Hand over the last iteration's search result, once."""
        found, self._found = self._found, None
        return found

    def _search_heatmaps(
        self, heatmaps: Tensor, observed: Tensor, visible: Tensor
    ) -> tuple[Tensor, Tensor]:
        options = dict(self.search)
        curves = options.pop("curves")
        if curves:
            options["tangents"] = curve_tangents(observed, curves, visible)
        return search_latent_targets(heatmaps, observed, visible=visible, **options)

    def _search(self, heatmaps: Tensor, data_samples: OptSampleList) -> LatentSearch:
        warps = [input_warp(sample, use_udp=self.use_udp) for sample in data_samples]
        for warp, sample in zip(warps, data_samples):
            check_warp(warp, sample)
        if self.anchor == "previous":
            observed = np.stack(
                [s.gt_instances.transformed_keypoints[0, :, :2] for s in data_samples]
            )
        else:
            observed = np.stack(
                [
                    warp.to_input(sample.gt_instances.annotated_keypoints[0])
                    for warp, sample in zip(warps, data_samples)
                ]
            )
        scale = torch.as_tensor(self.decoder.scale_factor, dtype=torch.float64)
        observed = torch.as_tensor(observed, dtype=torch.float64) / scale
        visible = torch.cat(
            [s.gt_instance_labels.keypoint_weights for s in data_samples]
        )
        visible = visible.view(len(data_samples), -1) > 0
        cells, energies = self._search_heatmaps(
            heatmaps,
            observed.to(heatmaps.device, torch.float32),
            visible.to(heatmaps.device),
        )
        cells = cells.double().cpu()
        energies, visible = energies.cpu(), visible.cpu()
        rim = (cells - observed).abs().amax(-1) > self.search["search_radius"] - 0.5
        return _in_annotation_order(
            LatentSearch(
                indices=torch.tensor(
                    [int(s.gt_instances.latent_index[0]) for s in data_samples]
                ),
                targets=cells * scale,
                energies=energies,
                searched=visible,
                at_edge=rim & visible,
            ),
            warps,
        )


def _in_annotation_order(found: LatentSearch, warps: list[InputWarp]) -> LatentSearch:
    """Bring a search in input pixels and input order back to the image."""
    targets = torch.from_numpy(
        np.stack([w.to_image(t) for w, t in zip(warps, found.targets.numpy())])
    )
    order = torch.from_numpy(np.stack([w.order for w in warps]))

    def restore(values: Tensor) -> Tensor:
        return torch.empty_like(values).scatter_(1, order, values)

    return LatentSearch(
        found.indices,
        targets,
        restore(found.energies),
        restore(found.searched),
        restore(found.at_edge),
    )
