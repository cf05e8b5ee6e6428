"""What every head has whose landmarks' latent positions can be searched."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from mmengine.structures import InstanceData
from mmpose.registry import MODELS
from mmpose.utils.tensor_utils import to_numpy
from mmpose.utils.typing import OptConfigType, OptSampleList
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from semamb_mm.pose.latent_targets.cell_options import convert_cell_options
from semamb_mm.pose.latent_targets.search import (
    SearchGrid,
    complete_search_options,
    landmark_weights,
)

from .codecs import check_codec, codec_sigma, gaussian_heatmaps, is_combined


class SemanticAlignmentMixin:
    """Makes a stock head one that can be observed, searched and refined.

    Put it before the stock class: ``class A(SemanticAlignmentMixin, HeatmapHead)``.
    Training, prediction, ``state_dict`` keys and the type of :meth:`forward`'s output
    stay the stock head's. :meth:`check_decoder`, :meth:`make_search_grid`,
    :meth:`to_ideal`, :meth:`refiner_heatmaps` and :attr:`refiner_size` are what a head
    with another output than heatmaps overrides.

    Args:
        *args: The stock head's.
        decoder (dict): The stock head's. For ``MSRAHeatmap`` give ``unbiased=True``,
            or moves below one cell are rounded away.
        search (dict, optional): Deprecated; options of the search in heatmap cells.
            Give ``LatentTargetHook(search=dict(...))`` those in units of the
            codec's sigma.
        refiner (dict, optional): A module that finds landmarks from the last
            stage's heatmaps, such as ``dict(type='GHCU')``; ``num_keypoints`` and
            ``heatmap_size`` default to the head's. It learns beside the detector,
            or alone under :class:`FrozenDetectorEstimator`. Predictions are then
            what its ``combine`` makes of both. ``keypoint_scores`` are the
            heatmaps' confidence, negative where a landmark was corrected, which
            is all that MMPose's inferencers pass on; ``keypoints_corrected``
            ``(1, K)`` of ``pred_instances`` says the same.
        **kwargs: The stock head's.

    Attributes:
        search (dict, optional): The deprecated options as the hook's, if given.
        search_grid (SearchGrid): What the search must know of the heatmaps.
        num_landmarks (int): K, which is ``out_channels`` unless the codec has
            several maps a landmark.

    Raises:
        ValueError: If the codec cannot be searched, or ``search`` has an unknown
            key or a wrong value.
    """

    def __init__(
        self,
        *args,
        decoder: OptConfigType = None,
        search: OptConfigType = None,
        refiner: OptConfigType = None,
        **kwargs,
    ) -> None:
        self.check_decoder(decoder, type(self).__name__)
        super().__init__(*args, decoder=decoder, **kwargs)
        self._set_search(search)
        self.refiner = self._build_refiner(refiner) if refiner else None
        # Set by FrozenDetectorEstimator: train the refiner alone.
        self.refine_only = False
        self._observers: OrderedDict[int, Callable] = OrderedDict()
        # What forward returned, while a loss with a refiner is computed.
        self._kept: list | None = None

    @staticmethod
    def check_decoder(decoder: Mapping | None, owner: str) -> None:
        """Refuse a codec that the search cannot take (ValueError)."""
        check_codec(decoder, owner)

    def make_search_grid(self, sigma: float | None = None) -> SearchGrid:
        """Return what the search must know of :meth:`to_ideal`'s heatmaps.

        Args:
            sigma: Of the ideal patch in cells, if not the codec's.
        """
        sigma = codec_sigma(self.decoder) if sigma is None else sigma
        return SearchGrid.of_codec(self.decoder, sigma=sigma)

    def to_ideal(self, outputs: Tensor | Sequence[Tensor]) -> Tensor:
        """Return what observers see of :meth:`forward`'s output.

        Args:
            outputs: Heatmaps ``(B, C, H, W)``, or a list of those of all stages.

        Returns:
            ``(B, K, H, W)`` of the last stage, at the ideal's scale: a Gaussian of
            ``search_grid.sigma`` and height 1 about the landmark.
        """
        return gaussian_heatmaps(self.decoder, last_stage(outputs))

    def refiner_heatmaps(self, outputs: Tensor | Sequence[Tensor]) -> Tensor:
        """Return what the refiner takes: ``(B, K, H, W)`` of :attr:`refiner_size`."""
        return self.to_ideal(outputs)

    @property
    def refiner_size(self) -> tuple[int, int]:
        """Width and height of the refiner's heatmaps."""
        return tuple(self.decoder.heatmap_size)

    @property
    def refiner_scale(self) -> np.ndarray:
        """Pixels of the input in a cell of the refiner's heatmaps: ``(2,)``."""
        return self.decoder.scale_factor

    @property
    def num_landmarks(self) -> int:
        """K, the number of landmarks."""
        return (
            self.out_channels // 3 if is_combined(self.decoder) else self.out_channels
        )

    def _set_search(self, search: dict | None) -> None:
        name = type(self).__name__
        self.search_grid = self.make_search_grid((search or {}).get("sigma"))
        self.search = None
        if search:
            sigma = float(np.mean(self.search_grid.sigma))
            self.search = complete_search_options(
                convert_cell_options(search, sigma, name),
                self.search_grid,
                self.num_landmarks,
                name,
            )

    def _build_refiner(self, refiner: dict) -> nn.Module:
        defaults = dict(
            num_keypoints=self.num_landmarks, heatmap_size=self.refiner_size
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
            observe: Takes what :meth:`to_ideal` returns, float32, with its gradient.

        Returns:
            Its ``remove()`` ends it; so does the end of a ``with`` block.
        """
        handle = RemovableHandle(self._observers)
        self._observers[handle.id] = observe
        return handle

    def forward(self, feats: Sequence[Tensor]) -> Tensor | list[Tensor]:
        """Return what the stock head returns, in float32, and tell observers.

        Args:
            feats: The stock head's.
        """
        # Mixed precision ends here: the stock heads' accuracy takes heatmaps to
        # numpy, which has no bfloat16.
        outputs = _in_float32(super().forward(feats))
        if self._kept is not None:
            self._kept.append(outputs)
        if self._observers:
            ideal = self.to_ideal(outputs)
            for observe in self._observers.values():
                observe(ideal)
        return outputs

    def loss(
        self,
        feats: Sequence[Tensor],
        batch_data_samples: OptSampleList,
        train_cfg: OptConfigType = {},
    ) -> dict:
        """Return the stock head's losses and the refiner's.

        Raises:
            RuntimeError: If the refiner's targets have not been packed.
        """
        if self.refiner is None:
            return super().loss(feats, batch_data_samples, train_cfg)
        if self.refine_only:
            outputs, losses = self.forward(feats), {}
        else:
            self._kept = []
            losses = super().loss(feats, batch_data_samples, train_cfg)
            (outputs,), self._kept = self._kept, None
        losses["loss_refiner"] = self.refiner.loss(
            self.refiner_heatmaps(outputs), *self._refiner_targets(batch_data_samples)
        )
        return losses

    def decode(self, batch_outputs: Tensor | tuple[Tensor, ...]) -> list[InstanceData]:
        """Return keypoints and scores from the last stage's output, refined."""
        predictions = super().decode(batch_outputs)
        if self.refiner is None:
            return predictions
        heatmaps = self.refiner_heatmaps(batch_outputs)
        scale = heatmaps.new_tensor(self.refiner_scale)
        positions = heatmaps.new_tensor(np.stack([p.keypoints[0] for p in predictions]))
        confidence = heatmaps.new_tensor(
            np.stack([p.keypoint_scores[0] for p in predictions])
        )
        refined = self.refiner(heatmaps) * scale
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
        weights = landmark_weights(data_samples)
        positions = torch.as_tensor(positions / self.refiner_scale)
        return positions.to(weights.device, torch.float32), weights


def last_stage(outputs: Tensor | Sequence[Tensor]) -> Tensor | tuple[Tensor, ...]:
    """Return of a head's output what its ``decode`` takes.

    Args:
        outputs: What ``forward`` returns: a list if there are several stages.
    """
    return outputs[-1] if isinstance(outputs, list) else outputs


def _in_float32(outputs):
    """Return a tensor, or a list or tuple of them, in float32."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return type(outputs)(part.float() for part in outputs)
