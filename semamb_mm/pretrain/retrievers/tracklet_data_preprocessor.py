"""The data preprocessor that hands a model the frames of tracklets as images."""

from __future__ import annotations

from mmpretrain.models.utils import ClsDataPreprocessor
from mmpretrain.registry import MODELS


@MODELS.register_module()
class TrackletDataPreprocessor(ClsDataPreprocessor):
    """MMPretrain's, for samples of several frames, as :class:`TrackletFrames` gives.

    A batch of B samples ``(T, C, H, W)`` becomes images ``(B * T, C, H, W)``, a
    sample's frames one after another; the data samples stay B. Arguments are
    :class:`mmpretrain.models.ClsDataPreprocessor`'s.

    Example:
        ```python
        data_preprocessor = dict(type='TrackletDataPreprocessor')
        ```
    """

    def forward(self, data: dict, training: bool = False) -> dict:
        """Return what the stock preprocessor makes of all frames.

        Raises:
            ValueError: If a sample is no stack of frames.
        """
        for sample in data["inputs"]:
            if sample.ndim != 4:
                raise ValueError(
                    "TrackletDataPreprocessor: expected samples of shape (T, C, H, W), "
                    f"got {tuple(sample.shape)}; wrap the data set in "
                    "dict(type='TrackletFrames', dataset=...)"
                )
        frames = [frame for sample in data["inputs"] for frame in sample]
        return super().forward(dict(data, inputs=frames), training)
