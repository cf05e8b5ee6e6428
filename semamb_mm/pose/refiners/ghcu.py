"""The global heatmap correction unit."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from mmpose.registry import MODELS
from torch import Tensor, nn

from .threshold import MODES, neighbour_weights, refined_share, relative_confidence

# Table 1 of the paper: kernel size and channels of the stride-2 convolutions.
LAYERS = ((5, 64), (3, 64), (3, 32), (3, 32), (3, 16), (3, 16))
LAST_SIDE = 4
DEFAULT_THRESHOLD = 0.3


@MODELS.register_module()
class GHCU(nn.Module):
    """Global heatmap correction unit: a whole face's shape from all its heatmaps.

    The network of Liu et al., "Semantic Alignment", CVPR 2019, Table 1: stride-2
    convolutions (5x5 64, 3x3 64, 3x3 32, 3x3 32, 3x3 16, 3x3 16) and two fully
    connected layers (256, 2K), which sees failed landmarks' heatmaps beside the
    good ones and regresses all positions. The paper gives it for 256 x 256
    heatmaps; here the first convolutions of the table are taken, as many as bring
    the heatmap's longer side to at most 4 cells: all six for 256, four for 48 or
    64. A ReLU follows every layer but the last.

    Usable alone (heatmaps in, positions out) or as ``refiner=dict(type='GHCU')``
    of :class:`SemanticAlignmentHead`, which fills in ``num_keypoints`` and
    ``heatmap_size``.

    Example:
        ```python
        model = dict(head=dict(
            type='SemanticAlignmentHead', refiner=dict(type='GHCU', mode='threshold')))
        *steps, pack = _base_.train_pipeline
        train_pipeline = [*steps, dict(pack, pack_transformed=True)]
        train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
        ```

    Args:
        num_keypoints (int): Number of landmarks K.
        heatmap_size (Sequence[int]): Width and height of the heatmaps, cells.
        mode (str): What :meth:`combine` does: ``'threshold'``, landmarks whose
            confidence is below the threshold take the refiner's position;
            ``'blend'``, they do below half the threshold, and from there to the
            threshold pass linearly to the heatmap's; ``'replace'``, all landmarks
            take the refiner's. Defaults to ``'threshold'``.
        confidence_threshold (float | Sequence[float], optional): Height of a
            heatmap's maximum below which its landmark counts as failed; one for
            all, or one a landmark. Defaults to the loaded checkpoint's
            (``tools/analysis/choose_ghcu_threshold.py`` puts it there), or 0.3
            where there is none.
        neighbourhood (float): Compare not each landmark's own confidence with the
            threshold but the mean of its neighbours', and how far these reach as a
            share of the face's size, see :func:`~.threshold.neighbour_weights`.
            Defaults to 0: each alone.
        failures (dict, optional): A module that spoils the heatmaps in training.
            Defaults to ``dict(type='HeatmapFailures')``; ``None`` for none.
        loss (dict): A loss of (predicted, true, weight), on positions divided by
            the heatmap's longer side. Defaults to an L1 loss.
        detach (bool): Cut the refiner's gradient from the detector in joint
            training. Defaults to ``True``.
        dropout (float): Share of the 256 features dropped in training. Defaults
            to 0, the paper's.

    Raises:
        ValueError: If an argument is wrong, or a checkpoint of a refiner for
            another number of landmarks or heatmap size is loaded.
    """

    def __init__(
        self,
        num_keypoints: int,
        heatmap_size: Sequence[int],
        mode: str = "threshold",
        confidence_threshold: float | Sequence[float] | None = None,
        neighbourhood: float = 0.0,
        failures: dict | None = dict(type="HeatmapFailures"),
        loss: dict = dict(type="L1Loss", use_target_weight=True),
        detach: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if mode not in MODES:
            raise ValueError(f"GHCU: mode is {mode!r}; expected one of {MODES}")
        if not 0 <= neighbourhood < math.inf:
            raise ValueError(
                f"GHCU: neighbourhood is {neighbourhood}; expected 0 or a share of the "
                "face's size such as 0.1"
            )
        self.neighbourhood = float(neighbourhood)
        self.num_keypoints = int(num_keypoints)
        width, height = (int(side) for side in heatmap_size)
        if self.num_keypoints < 1 or min(width, height) < 2:
            raise ValueError(
                "GHCU needs at least one landmark and heatmaps of at least 2 x 2 "
                f"cells, got num_keypoints={num_keypoints}, heatmap_size="
                f"{tuple(heatmap_size)} (width, height)"
            )
        self.heatmap_size = (width, height)
        self.mode = mode
        self.detach = detach
        self._fixed_threshold = confidence_threshold is not None
        self.register_buffer("threshold", self._read_threshold(confidence_threshold))
        self.register_buffer(
            "built_for", torch.tensor([self.num_keypoints, width, height])
        )
        self._build_layers(dropout)
        self.failures = MODELS.build(failures) if failures else nn.Identity()
        self.loss_module = MODELS.build(loss)

    def _read_threshold(self, threshold: float | Sequence[float] | None) -> Tensor:
        """Return the threshold of each landmark ``(K,)``."""
        given = DEFAULT_THRESHOLD if threshold is None else threshold
        each = torch.as_tensor(given, dtype=torch.float32)
        fits = each.shape in ((), (self.num_keypoints,))
        if not fits or not bool(torch.isfinite(each).all()):
            raise ValueError(
                "GHCU: confidence_threshold must be one number, or one for each of "
                f"the {self.num_keypoints} landmarks, got {given}"
            )
        return each.expand(self.num_keypoints).clone()

    def _build_layers(self, dropout: float) -> None:
        width, height = self.heatmap_size
        convs, channels, sides = [], self.num_keypoints, [width, height]
        for kernel, out_channels in LAYERS[: _num_convs(max(width, height))]:
            convs += [
                nn.Conv2d(channels, out_channels, kernel, 2, kernel // 2),
                nn.ReLU(inplace=True),
            ]
            channels = out_channels
            sides = [math.ceil(side / 2) for side in sides]
        self.convs = nn.Sequential(*convs)
        self.fc = nn.Sequential(
            nn.Flatten(),
            nn.Linear(channels * sides[0] * sides[1], 256),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(256, 2 * self.num_keypoints),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)
        # Start with all landmarks near the middle.
        nn.init.normal_(self.fc[-1].weight, std=0.01)

    def forward(self, heatmaps: Tensor) -> Tensor:
        """Find the positions of all landmarks.

        Args:
            heatmaps: ``(B, K, H, W)``.

        Returns:
            ``(B, K, 2)``, (x, y) in heatmap cells.

        Raises:
            ValueError: If the heatmaps have another shape than it was built for.
        """
        width, height = self.heatmap_size
        if heatmaps.ndim != 4 or heatmaps.shape[1:] != (
            self.num_keypoints,
            height,
            width,
        ):
            raise ValueError(
                f"GHCU was built for heatmaps (B, {self.num_keypoints}, {height}, "
                f"{width}), got {tuple(heatmaps.shape)}"
            )
        shape = self.fc(self.convs(heatmaps)).view(-1, self.num_keypoints, 2)
        middle = shape.new_tensor([width - 1, height - 1]) / 2
        return middle + shape * max(width, height)

    def loss(self, heatmaps: Tensor, positions: Tensor, weights: Tensor) -> Tensor:
        """Return the loss of the positions found from (spoiled) heatmaps.

        Args:
            heatmaps: ``(B, K, H, W)`` predicted.
            positions: ``(B, K, 2)`` true, heatmap cells.
            weights: ``(B, K)``; 0 where a landmark is not to be learnt.
        """
        if self.detach:
            heatmaps = heatmaps.detach()
        side = max(self.heatmap_size)
        found = self(self.failures(heatmaps))
        weights = weights[..., None].expand_as(found)
        # Positions outside the heatmap or unlabelled ones may not be finite.
        positions = torch.where(weights > 0, positions.to(found), found.detach())
        return self.loss_module(found / side, positions / side, weights)

    def combine(
        self, positions: Tensor, confidence: Tensor, refined: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Combine the detector's and the refiner's positions, as ``mode`` says.

        Args:
            positions: ``(B, K, 2)`` from the heatmaps.
            confidence: ``(B, K)`` height of each heatmap's maximum.
            refined: ``(B, K, 2)`` from :meth:`forward`, in the same unit.

        Returns:
            ``(B, K, 2)`` positions and ``(B, K)`` bool, which were corrected.
        """
        threshold = self.threshold.to(positions)
        weights = neighbour_weights(refined, self.neighbourhood)
        ratio = relative_confidence(confidence, threshold, weights)
        share = refined_share(ratio, self.mode)
        return torch.lerp(positions, refined, share[..., None]), share > 0

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:
        built_for = state_dict.get(prefix + "built_for")
        if built_for is not None and not torch.equal(
            built_for.cpu(), self.built_for.cpu()
        ):
            theirs, ours = built_for.tolist(), self.built_for.tolist()
            raise ValueError(
                "this checkpoint's GHCU is for {} landmarks on {} x {} heatmaps, the "
                "config's for {} landmarks on {} x {}".format(*theirs, *ours)
            )
        if self._fixed_threshold and built_for is not None:
            state_dict[prefix + "threshold"] = self.threshold.detach().clone()
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def _num_convs(side: int) -> int:
    """Return how many of Table 1's six halvings bring a side to four cells at most."""
    halvings = math.ceil(math.log2(max(side, 1) / LAST_SIDE))
    return min(max(halvings, 1), len(LAYERS))
