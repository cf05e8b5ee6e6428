"""The heatmap head whose landmarks' latent positions can be searched."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmcv.cnn import build_conv_layer
from mmengine.structures import InstanceData
from mmpose.models.heads import CPMHead, HeatmapHead
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import OptConfigType, OptSampleList
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from semamb_mm.pose.latent_targets.cell_options import convert_cell_options
from semamb_mm.pose.latent_targets.search import SearchGrid, complete_search_options


@MODELS.register_module()
class SemanticAlignmentHead(CPMHead):
    """Heatmap head that searches each landmark's latent position.

    A :class:`mmpose.models.CPMHead`, multi-stage for MMPose's stacked
    ``HourglassNet`` or single-stage (``num_stages=1``, the last feature map)
    for any heatmap backbone. Training and prediction are CPMHead's. The last
    stage's heatmaps can be observed (:meth:`register_heatmap_observer`), so that
    :class:`LatentTargetHook` can search them for the latent targets of the
    samples. Without the hook it is a CPMHead.

    Args:
        in_channels (int | Sequence[int]): Channels of the feature maps.
        out_channels (int): Number of landmarks K.
        num_stages (int): Number of stages. Defaults to 1.
        conv_out_channels (Sequence[int], optional): Channels of convolutions
            before the final layer, as in :class:`mmpose.models.HeatmapHead`.
        conv_kernel_sizes (Sequence[int], optional): Their kernel sizes.
        final_layer (dict): The final convolution. Defaults to
            ``dict(kernel_size=1)``.
        search (dict, optional): Deprecated; options of the search in heatmap cells.
            Give ``LatentTargetHook(search=dict(...))`` those in units of the
            codec's sigma.
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

    Attributes:
        search (dict, optional): The deprecated options as the hook's, if given.

    Raises:
        ValueError: If the decoder is missing or is not a heatmap codec, or
            ``search`` has an unknown key or a wrong value.
    """

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
            self._add_convolutions(width, convs, conv_kernel_sizes, final_layer)
        if getattr(self.decoder, "scale_factor", None) is None:
            raise ValueError(
                f"{name} needs decoder=dict(type='MSRAHeatmap', ...) or another "
                f"codec of one heatmap a landmark, got {decoder}"
            )
        given = (search or {}).get("sigma")
        self.search_grid = SearchGrid.of_codec(self.decoder, sigma=given)
        self.search = None
        if search:
            sigma = float(np.mean(self.search_grid.sigma))
            converted = convert_cell_options(search, sigma, name)
            self.search = complete_search_options(
                converted, self.search_grid, out_channels, name
            )
        self.refiner = self._build_refiner(refiner) if refiner else None
        # Set by FrozenDetectorEstimator: train the refiner alone.
        self.refine_only = False
        self._observers: OrderedDict[int, Callable] = OrderedDict()

    def _add_convolutions(
        self,
        width: int,
        channels: Sequence[int],
        kernel_sizes: Sequence[int],
        final_layer: dict | None,
    ) -> None:
        """Put convolutions before each stage's final layer, as HeatmapHead does."""
        for stage in range(self.num_stages):
            self.multi_deconv_layers[stage] = nn.Sequential(
                self.multi_deconv_layers[stage],
                HeatmapHead._make_conv_layers(self, width, channels, kernel_sizes),
            )
            if final_layer is not None:
                cfg = dict(dict(type="Conv2d", kernel_size=1), **final_layer)
                self.multi_final_layers[stage] = build_conv_layer(
                    cfg, in_channels=channels[-1], out_channels=self.out_channels
                )

    def _build_refiner(self, refiner: dict) -> nn.Module:
        defaults = dict(
            num_keypoints=self.out_channels, heatmap_size=self.decoder.heatmap_size
        )
        module = MODELS.build({**defaults, **refiner})
        for key, value in defaults.items():
            if not np.array_equal(getattr(module, key), value):
                raise ValueError(
                    f"{type(self).__name__}: the refiner's {key} is "
                    f"{getattr(module, key)}, the head's {value}"
                )
        return module

    def register_heatmap_observer(
        self, observe: Callable[[Tensor], None]
    ) -> RemovableHandle:
        """Have a function called with the last stage's heatmaps of every forward pass.

        Args:
            observe: Takes ``(B, K, H, W)`` float32, with their gradient.

        Returns:
            Its ``remove()`` ends it; so does the end of a ``with`` block.
        """
        handle = RemovableHandle(self._observers)
        self._observers[handle.id] = observe
        return handle

    def forward(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """Return heatmaps ``(B, K, H, W)`` of every stage.

        Args:
            feats: One feature map a stage; a single-stage head takes the
                last one.
        """
        if self.num_stages == 1:
            feats = feats[-1:]
        # Mixed precision ends here: CPMHead's accuracy takes its heatmaps to
        # numpy, which has no bfloat16.
        heatmaps = [heatmap.float() for heatmap in super().forward(feats)]
        for observe in self._observers.values():
            observe(heatmaps[-1])
        return heatmaps

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: OptSampleList,
        train_cfg: OptConfigType = {},
    ) -> dict:
        """Return CPMHead's losses and the refiner's.

        Raises:
            RuntimeError: If the refiner's targets have not been packed.
        """
        if self.refiner is None:
            return super().loss(feats, batch_data_samples, train_cfg)
        if self.refine_only:
            heatmaps, losses = self.forward(feats)[-1], {}
        else:
            seen: list[Tensor] = []
            with self.register_heatmap_observer(seen.append):
                losses = super().loss(feats, batch_data_samples, train_cfg)
            (heatmaps,) = seen
        losses["loss_refiner"] = self.refiner.loss(
            heatmaps, *self._refiner_targets(batch_data_samples)
        )
        return losses

    def decode(self, batch_outputs: Tensor) -> list[InstanceData]:
        """Return keypoints and scores from heatmaps ``(B, K, H, W)``, refined."""
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
        """Return true positions ``(B, K, 2)``, cells, and weights ``(B, K)``."""
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
