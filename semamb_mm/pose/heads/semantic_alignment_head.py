"""Heatmap heads whose landmarks' latent positions can be searched."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence

from mmcv.cnn import build_conv_layer
from mmpose.models.heads import (
    BaseHead,
    CPMHead,
    HeatmapHead,
    MSPNHead,
    ViPNASHead,
    VisPredictHead,
)
from mmpose.registry import MODELS
from mmpose.utils.typing import OptConfigType
from torch import Tensor, nn

from .mixin import SemanticAlignmentMixin


@MODELS.register_module()
class SemanticAlignmentHead(SemanticAlignmentMixin):
    """In place of ``HeatmapHead``, or of ``CPMHead`` if ``num_stages`` is given.

    Building it makes a :class:`SemanticAlignmentHeatmapHead` or a
    :class:`SemanticAlignmentCPMHead`, which are instances of this class: the stock
    head with its defaults, ``state_dict`` keys and outputs, whose heatmaps
    :class:`LatentTargetHook` can observe and search.

    Example:
        ```python
        # All other arguments stay as they are.
        model = dict(head=dict(type='SemanticAlignmentHead'))
        ```

    Args:
        **kwargs: The stock head's, and :class:`SemanticAlignmentMixin`'s: ``search``
            and ``refiner``.

    Raises:
        ValueError: If the codec cannot be searched, or an argument is another head's.
        TypeError: If a class of your own is derived from it, not from one of the two.
    """

    def __new__(cls, *args, **kwargs):
        """Choose the stock head by whether ``num_stages`` is given."""
        if cls is SemanticAlignmentHead:
            cls = _EITHER["num_stages" in kwargs]
            if kwargs.get("decoder") is not None:
                cls.check_decoder(kwargs["decoder"], "SemanticAlignmentHead")
            _check_arguments(cls, kwargs)
        elif not issubclass(cls, BaseHead):
            raise TypeError(
                f"{cls.__name__}: derive from SemanticAlignmentHeatmapHead or "
                "SemanticAlignmentCPMHead, SemanticAlignmentHead chooses between them"
            )
        return super().__new__(cls)


@MODELS.register_module()
class SemanticAlignmentHeatmapHead(SemanticAlignmentHead, HeatmapHead):
    """A :class:`mmpose.models.HeatmapHead` that can be observed, searched and refined.

    Checkpoints of before, when this package's single-stage head was a ``CPMHead``,
    load too.

    Example:
        ```python
        # In place of HeatmapHead; all other arguments stay.
        model = dict(head=dict(type='SemanticAlignmentHeatmapHead'))
        ```

    Raises:
        ValueError: Also if such a checkpoint has no deconvolutions and this head has.
    """

    def rename_earlier_keys(self, state_dict: dict, prefix: str) -> None:
        """Give the keys of an earlier version's single-stage head the stock names.

        Args:
            state_dict: Is changed.
            prefix: Of this head's keys.

        Raises:
            ValueError: If that head had no deconvolutions and this one has.
        """
        final, stages = (
            prefix + "multi_final_layers.",
            prefix + "multi_deconv_layers.0.",
        )
        layers = [key for key in state_dict if key.startswith(stages)]
        finals = [key for key in state_dict if key.startswith(final)]
        if not (layers or finals) or any(key[len(final)] != "0" for key in finals):
            return
        # Deconvolutions, or a pair of those and convolutions.
        paired = any(len(key[len(stages) :].split(".")) == 3 for key in layers)
        new = {stages + "0." if paired else stages: prefix + "deconv_layers."}
        if paired:
            new[stages + "1."] = prefix + "conv_layers."
        new[final + "0."] = prefix + "final_layer."
        renamed = {}
        for key in layers + finals:
            old = next(start for start in new if key.startswith(start))
            renamed[key] = new[old] + key[len(old) :]
        deconvolved = prefix + "deconv_layers."
        has = any(key.startswith(deconvolved) for key in renamed.values())
        if not has and not isinstance(self.deconv_layers, nn.Identity):
            raise ValueError(
                "this checkpoint is of an earlier version of semamb_mm, whose "
                "SemanticAlignmentHead had no deconvolutions unless they were given. "
                "Now it has HeatmapHead's three by default: give the config "
                "model.head.deconv_out_channels=None"
            )
        for old, key in renamed.items():
            state_dict[key] = state_dict.pop(old)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:
        self.rename_earlier_keys(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


class _ConvolvedCPMHead(CPMHead):
    """A :class:`mmpose.models.CPMHead` that takes :class:`HeatmapHead`'s convolutions.

    A single-stage head reads the last of several feature maps.
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        out_channels: int,
        num_stages: int,
        *args,
        conv_out_channels: Sequence[int] | None = None,
        conv_kernel_sizes: Sequence[int] | None = None,
        final_layer: OptConfigType = dict(kernel_size=1),
        **kwargs,
    ) -> None:
        if isinstance(in_channels, Sequence):
            in_channels = in_channels[-1]
        convs = conv_out_channels or ()
        if len(convs) != len(conv_kernel_sizes or ()):
            raise ValueError(
                f"{type(self).__name__}: conv_out_channels {conv_out_channels} and "
                f"conv_kernel_sizes {conv_kernel_sizes} must have the same length"
            )
        super().__init__(
            in_channels,
            out_channels,
            num_stages,
            *args,
            final_layer=None if convs else final_layer,
            **kwargs,
        )
        if convs:
            width = (kwargs.get("deconv_out_channels") or [in_channels])[-1]
            self._add_convolutions(width, convs, conv_kernel_sizes, final_layer)

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

    def forward(self, feats: Sequence[Tensor]) -> list[Tensor]:
        """Return heatmaps ``(B, K, H, W)`` of every stage."""
        return super().forward(feats[-1:] if self.num_stages == 1 else feats)


@MODELS.register_module()
class SemanticAlignmentCPMHead(SemanticAlignmentHead, _ConvolvedCPMHead):
    """A :class:`mmpose.models.CPMHead` that can be observed, searched and refined.

    With one stage it also takes several feature maps, and reads the last one.

    Example:
        ```python
        # In place of CPMHead; all other arguments stay.
        model = dict(head=dict(type='SemanticAlignmentCPMHead'))
        ```

    Args:
        in_channels (int | Sequence[int]): Channels of the feature maps.
        out_channels (int): Channels of the heatmaps.
        num_stages (int): Number of stages.
        conv_out_channels (Sequence[int], optional): Channels of convolutions
            before the final layer, as in :class:`mmpose.models.HeatmapHead`.
        conv_kernel_sizes (Sequence[int], optional): Their kernel sizes.
        **kwargs: The rest of CPMHead's arguments, and
            :class:`SemanticAlignmentMixin`'s.
    """


@MODELS.register_module()
class SemanticAlignmentMSPNHead(SemanticAlignmentMixin, MSPNHead):
    """A :class:`mmpose.models.MSPNHead` that can be observed, searched and refined.

    The heatmaps are those of the last unit of the last stage. A refiner is trained
    with the weights of the last level.

    Example:
        ```python
        # In place of MSPNHead; all other arguments stay.
        model = dict(head=dict(type='SemanticAlignmentMSPNHead'))
        ```
    """


@MODELS.register_module()
class SemanticAlignmentViPNASHead(SemanticAlignmentMixin, ViPNASHead):
    """A :class:`mmpose.models.ViPNASHead` that is observed, searched and refined.

    Example:
        ```python
        # In place of ViPNASHead; all other arguments stay.
        model = dict(head=dict(type='SemanticAlignmentViPNASHead'))
        ```
    """


_EITHER = {False: SemanticAlignmentHeatmapHead, True: SemanticAlignmentCPMHead}
_STOCK = {False: HeatmapHead, True: CPMHead}
_ELSEWHERE = (
    (MSPNHead, "use type='SemanticAlignmentMSPNHead'"),
    (ViPNASHead, "use type='SemanticAlignmentViPNASHead'"),
    (
        VisPredictHead,
        "VisPredictHead stays, and inside give it "
        "pose_cfg=dict(type='SemanticAlignmentHead', ...)",
    ),
)
_OURS = {"search", "refiner", "conv_out_channels", "conv_kernel_sizes"}


def _parameters(head: type) -> set[str]:
    return set(inspect.signature(head.__init__).parameters) - {"self"}


def _check_arguments(head: type, given: Mapping) -> None:
    """Refuse arguments of heads that are neither HeatmapHead nor CPMHead.

    Raises:
        ValueError: Naming them, and the type to use if there is one.
    """
    stock = _STOCK["num_stages" in given]
    unknown = set(given) - _parameters(stock) - _OURS
    if not unknown:
        return
    message = (
        f"SemanticAlignmentHead takes the arguments of {stock.__name__}, which has no "
        f"{', '.join(sorted(unknown))}."
    )
    for other, advice in _ELSEWHERE:
        if unknown <= _parameters(other):
            raise ValueError(f"{message} In place of {other.__name__}: {advice}")
    raise ValueError(
        f"{message} It takes the place of HeatmapHead, or of CPMHead if num_stages is "
        "given; write SemanticAlignment before the name of MSPNHead, ViPNASHead, "
        "RTMCCHead, RTMWHead or SimCCHead. No other head can be searched"
    )
