"""Registers :class:`semamb_mm.metric_learning.PKSampler` for data sets."""

from __future__ import annotations

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmpretrain.registry import DATA_SAMPLERS

from semamb_mm.metric_learning import PKSampler


@DATA_SAMPLERS.register_module()
class IdentityBalancedSampler(PKSampler):
    """Batches of P classes with K samples each ("PK sampling").

    Give the dataloader ``batch_size = P * K``. How the batches are drawn
    stands in :class:`semamb_mm.metric_learning.PKSampler`; this one reads the
    labels from a data set and this process's rank from MMEngine, which also
    calls ``set_epoch`` before every epoch.

    Args:
        dataset: With ``get_gt_labels()`` (MMPretrain's data sets), or with
            ``gt_label`` in ``get_data_info``.
        num_classes_per_batch (int): P.
        num_samples_per_class (int): K. Defaults to 4.
        seed (int, optional): The same on all ranks; drawn if left out.

    Raises:
        ValueError: If P or K is not positive, or the data set has fewer than
            P classes.
    """

    def __init__(
        self,
        dataset,
        num_classes_per_batch: int,
        num_samples_per_class: int = 4,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            _labels(dataset),
            num_classes_per_batch,
            num_samples_per_class,
            sync_random_seed() if seed is None else seed,
            *get_dist_info(),
        )


def _labels(dataset) -> np.ndarray:
    if hasattr(dataset, "get_gt_labels"):
        return np.asarray(dataset.get_gt_labels())
    return np.array([dataset.get_data_info(i)["gt_label"] for i in range(len(dataset))])
