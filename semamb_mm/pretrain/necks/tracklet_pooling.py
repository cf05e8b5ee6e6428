"""The neck that pools the frames of a tracklet."""

from __future__ import annotations

from mmengine.model import BaseModule
from mmpretrain.registry import MODELS
from torch import Tensor, nn

MODES = ("mean", "attention")


@MODELS.register_module()
class TrackletPooling(BaseModule):
    """Pool the features of a tracklet's frames into one.

    With ``'attention'`` frame t of features ``x_t`` has the weight ``softmax_t(w .
    x_t)`` (as in Gao and Nevatia, "Revisiting Temporal Modeling for Video-based Person
    ReID", 2018). ``w`` starts at 0, which is the mean, and is trained along.

    Example:
        ```python
        model = dict(
            data_preprocessor=dict(type='TrackletDataPreprocessor'),
            image_encoder=[
                dict(type='ResNet', depth=50),
                dict(type='GlobalAveragePooling'),
                dict(type='TrackletPooling', num_frames=4)])
        ```

    Args:
        num_frames (int): Of a sample, as of :class:`TrackletFrames`.
        mode (str): ``'mean'`` or ``'attention'``. Defaults to ``'mean'``.
        in_channels (int, optional): C, for ``'attention'``.

    Raises:
        ValueError: On an unknown mode, a number that is not positive, or attention
            without channels; while running, on features of another shape.
    """

    def __init__(
        self,
        num_frames: int,
        mode: str = "mean",
        in_channels: int | None = None,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if mode not in MODES:
            raise ValueError(f"TrackletPooling: mode is one of {MODES}, not {mode!r}")
        if num_frames < 1:
            raise ValueError(
                f"TrackletPooling: num_frames must be positive, got {num_frames}"
            )
        if mode == "attention" and not in_channels:
            raise ValueError("TrackletPooling: mode='attention' needs in_channels")
        self.num_frames = num_frames
        self.score = None
        if mode == "attention":
            self.score = nn.Linear(in_channels, 1, bias=False)
            nn.init.zeros_(self.score.weight)

    def forward(self, feats: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return ``(B, C)`` for ``(B * num_frames, C)``, of each level."""
        return tuple(map(self._pool, feats))

    def _pool(self, features: Tensor) -> Tensor:
        if features.ndim != 2 or len(features) % self.num_frames:
            raise ValueError(
                f"TrackletPooling(num_frames={self.num_frames}): expected features of "
                f"shape (B * {self.num_frames}, C), got {tuple(features.shape)}. It "
                "comes after a pooling over space, and TrackletFrames needs the same "
                "num_frames"
            )
        frames = features.unflatten(0, (-1, self.num_frames))
        if self.score is None:
            return frames.mean(dim=1)
        weights = self.score(frames).softmax(dim=1)
        return (weights * frames).sum(dim=1)
