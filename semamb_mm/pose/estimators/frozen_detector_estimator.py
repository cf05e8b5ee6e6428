"""The second stage of training: a refiner on a detector that stays as it is."""

from __future__ import annotations

from mmpose.models import TopdownPoseEstimator
from mmpose.registry import MODELS
from mmpose.utils.typing import SampleList
from torch import Tensor


@MODELS.register_module()
class FrozenDetectorEstimator(TopdownPoseEstimator):
    """A pose estimator of which only the head's refiner is trained.

    The second stage of training a :class:`GHCU`: backbone, neck and head come from
    a checkpoint (``load_from``), get no gradient and keep their batch statistics.
    Prediction is :class:`mmpose.models.TopdownPoseEstimator`'s, and so are the
    checkpoints: they load into either class.

    Example:
        ```python
        load_from = 'work_dirs/my_config/epoch_60.pth'
        model = dict(
            type='FrozenDetectorEstimator',
            head=dict(type='SemanticAlignmentHead', refiner=dict(type='GHCU')))
        *steps, pack = _base_.train_pipeline
        train_pipeline = [*steps, dict(pack, pack_transformed=True)]
        train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
        ```

    Raises:
        ValueError: If the head has no refiner, or a checkpoint of another detector
            is loaded.
    """

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if getattr(self.head, "refiner", None) is None:
            raise ValueError(
                "FrozenDetectorEstimator trains the head's refiner, and "
                f"{type(self.head).__name__} has none: give the config "
                "model.head.refiner=dict(type='GHCU')"
            )
        self.head.refine_only = True
        self._detector_keys = [
            key for key in self.state_dict() if not key.startswith("head.refiner.")
        ]
        self._missing = self._detector_keys
        self.requires_grad_(False)
        self.head.refiner.requires_grad_(True)

    def train(self, mode: bool = True) -> FrozenDetectorEstimator:
        """Put the refiner, and nothing else, into training mode."""
        super().train(mode)
        if mode:
            for module in self.children():
                module.train(False)
            self.head.refiner.train(True)
        return self

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict:
        """Return the refiner's loss.

        Raises:
            RuntimeError: If no whole detector has been loaded.
        """
        if self._missing:
            raise RuntimeError(
                "the second stage trains a refiner on a trained detector, but "
                f"{len(self._missing)} of the detector's {len(self._detector_keys)} "
                f"weights have not been loaded (the first: {self._missing[0]}). Name "
                "the detector's checkpoint: --cfg-options load_from=CHECKPOINT"
            )
        return super().loss(inputs, data_samples)

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:
        if hasattr(self.head, "rename_earlier_keys"):
            self.head.rename_earlier_keys(state_dict, f"{prefix}head.")
        self._missing = [
            key for key in self._detector_keys if prefix + key not in state_dict
        ]
        # MMEngine leaves out weights of another shape with a warning.
        own = self.state_dict()
        for key in set(self._detector_keys) - set(self._missing):
            theirs, ours = state_dict[prefix + key].shape, own[key].shape
            if theirs != ours:
                raise ValueError(
                    "this checkpoint is of another detector than the config's: "
                    f"{key} has shape {tuple(theirs)}, the config's {tuple(ours)}. "
                    "The number of landmarks and the network must be the same"
                )
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)
