"""Heads of one distribution per axis (SimCC, RTMPose) that can be searched."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmpose.codecs import SimCCLabel
from mmpose.models.heads import RTMCCHead, RTMWHead, SimCCHead
from mmpose.models.losses import KLDiscretLoss
from mmpose.registry import KEYPOINT_CODECS, MODELS
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool1d

from semamb_mm.pose.latent_targets.search import SearchGrid

from .mixin import SemanticAlignmentMixin

WORKING = (
    "What works is decoder=dict(type='SimCCLabel', smoothing_type='gaussian', ...) "
    "with loss=dict(type='KLDiscretLoss', ...)"
)


class SimCCAlignmentMixin(SemanticAlignmentMixin):
    """Makes a stock SimCC head one that can be observed and searched.

    Training, prediction, ``state_dict`` keys and outputs stay the stock head's.
    Observers see two distributions, at the ideal's scale, see :func:`ideal_profile`.

    Args:
        *args: The stock head's.
        decoder (dict): The stock head's, ``SimCCLabel`` of Gaussians.
        **kwargs: The stock head's.

    Raises:
        ValueError: If codec or loss are others, or the deprecated ``search`` is given.
    """

    def __init__(self, *args, decoder: Mapping | None = None, **kwargs) -> None:
        name = type(self).__name__
        if kwargs.get("search") is not None:
            raise ValueError(
                f"{name}: give search=dict(...) to LatentTargetHook, not to the head"
            )
        super().__init__(*args, decoder=decoder, **kwargs)
        if not isinstance(self.loss_module, KLDiscretLoss):
            raise ValueError(
                f"{name}: of loss=dict(type='{type(self.loss_module).__name__}') it is "
                f"not known what a perfect prediction looks like. {WORKING}"
            )

    @staticmethod
    def check_decoder(decoder: Mapping | None, owner: str) -> None:
        """Refuse a codec whose labels are not one Gaussian per axis.

        Args:
            decoder: The codec's config.
            owner: The head's type, for the message.

        Raises:
            ValueError: Naming the codec, and what works.
        """
        if decoder is None:
            raise ValueError(f"{owner} needs a decoder. {WORKING}")
        codec = KEYPOINT_CODECS.build(decoder)
        if not isinstance(codec, SimCCLabel):
            raise ValueError(
                f"{owner}: decoder=dict(type='{type(codec).__name__}') has no "
                f"distribution along x and along y. {WORKING}"
            )
        if codec.smoothing_type != "gaussian":
            raise ValueError(
                f"{owner}: smoothing_type='{codec.smoothing_type}' labels one bin, not "
                f"a Gaussian that a prediction could be compared with. {WORKING}"
            )

    def make_search_grid(self, sigma: float | None = None) -> SearchGrid:
        """Return what the search must know of :meth:`to_ideal`'s distributions.

        Args:
            sigma: Of the ideal Gaussian in bins, if not the codec's.
        """
        sigmas = self.decoder.sigma if sigma is None else (sigma, sigma)
        pixels = 1 / float(self.decoder.simcc_split_ratio)
        along_x, along_y = (float(value) for value in sigmas)
        return SearchGrid((pixels, pixels), (along_x, along_y), separable=True)

    def to_ideal(self, outputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return what observers see of :meth:`forward`'s output.

        Args:
            outputs: Logits ``(B, K, Wx)`` along x and ``(B, K, Wy)`` along y.

        Returns:
            The same at the ideal's scale: Gaussians of ``search_grid.sigma`` and
            height 1 about the landmark.
        """
        return tuple(
            ideal_profile(
                logits, float(sigma), self.loss_module, self.decoder.normalize
            )
            for logits, sigma in zip(outputs, self.decoder.sigma)
        )

    def refiner_heatmaps(self, outputs: Sequence[Tensor]) -> Tensor:
        """Return outer products of the distributions, each brought to a cell a stride.

        Args:
            outputs: As :meth:`to_ideal`.

        Returns:
            ``(B, K, H, W)`` of :attr:`refiner_size`.
        """
        x, y = (
            adaptive_avg_pool1d(profile, cells)
            for profile, cells in zip(self.to_ideal(outputs), self.refiner_size)
        )
        return y[..., :, None] * x[..., None, :]

    @property
    def refiner_size(self) -> tuple[int, int]:
        """A quarter of the input, as most heatmap heads have."""
        width, height = (math.ceil(side / 4) for side in self.decoder.input_size)
        return width, height

    @property
    def refiner_scale(self) -> np.ndarray:
        """Pixels of the input in a cell of the refiner's heatmaps: ``(2,)``."""
        return np.array(self.decoder.input_size, np.float32) / self.refiner_size


@MODELS.register_module()
class SemanticAlignmentRTMCCHead(SimCCAlignmentMixin, RTMCCHead):
    """RTMPose's :class:`mmpose.models.RTMCCHead`, whose landmarks can be searched.

    Example:
        ```python
        # In place of RTMCCHead; all other arguments stay.
        model = dict(head=dict(type='SemanticAlignmentRTMCCHead'))
        ```

    Args:
        **kwargs: The stock head's.
    """


@MODELS.register_module()
class SemanticAlignmentRTMWHead(SimCCAlignmentMixin, RTMWHead):
    """RTMW's :class:`mmpose.models.RTMWHead`, whose landmarks can be searched.

    Example:
        ```python
        # In place of RTMWHead; all other arguments stay.
        model = dict(head=dict(type='SemanticAlignmentRTMWHead'))
        ```

    Args:
        **kwargs: The stock head's.
    """


@MODELS.register_module()
class SemanticAlignmentSimCCHead(SimCCAlignmentMixin, SimCCHead):
    """A :class:`mmpose.models.SimCCHead` whose landmarks can be searched.

    Example:
        ```python
        # In place of SimCCHead; all other arguments stay.
        model = dict(head=dict(type='SemanticAlignmentSimCCHead'))
        ```

    Args:
        **kwargs: The stock head's.
    """


def ideal_profile(
    logits: Tensor, sigma: float, loss: KLDiscretLoss, normalized: bool = False
) -> Tensor:
    """Return a predicted distribution at the scale of a Gaussian of height 1.

    ``KLDiscretLoss`` is least where ``p = softmax(beta * logits)`` is the label's
    distribution. What made that of the Gaussian ``g`` is undone:

    - With ``label_softmax`` (RTMPose) it is ``softmax(label_beta * g)``, so
      ``g = (log p + C) / label_beta``, where ``C = logsumexp(label_beta * g)`` of a
      Gaussian in the middle. What is below 0, where a network is surer than its label,
      becomes 0.
    - Without (SimCC) it is ``g`` divided by its sum, which is ``sqrt(2 pi) sigma``, so
      ``g = sqrt(2 pi) sigma p``. Whether the codec has divided it already
      (``normalize``) makes no difference to ``p``.

    A network that predicts its label gives exactly ``g``, where all of it is inside.
    Within 3 sigma of the border, where up to half of it is cut away, it is up to
    ``log(2) / label_beta`` higher, or twice as high. One that knows nothing gives a
    constant, ``(C - log W) / label_beta`` (0.53 with 512 bins and RTMPose's loss) or
    ``sqrt(2 pi) sigma / W`` (0.03): every candidate fits equally badly, and the prior
    decides.

    Args:
        logits: ``(..., W)`` of the head.
        sigma: Of the codec's Gaussian, in bins.
        loss: The head's loss.
        normalized: Whether the codec divides its Gaussians by ``sqrt(2 pi) sigma``.

    Returns:
        ``(..., W)`` float32.
    """
    area = math.sqrt(2 * math.pi) * sigma
    log_p = torch.log_softmax(logits.float() * loss.beta, dim=-1)
    if not loss.label_softmax:
        return log_p.exp() * area
    beta = loss.label_beta / area if normalized else loss.label_beta
    bins = torch.arange(logits.shape[-1], dtype=torch.float64)
    squares = (bins - len(bins) // 2).square()
    label = beta * torch.exp(-squares / (2 * sigma**2))
    return ((log_p + torch.logsumexp(label, dim=-1).item()) / beta).clamp(min=0)
