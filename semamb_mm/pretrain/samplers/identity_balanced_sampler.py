"""Registers :class:`semamb_mm.metric_learning.PKSampler` for data sets, in two ways."""

from __future__ import annotations

import numpy as np
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.logging import print_log
from mmpretrain.registry import DATA_SAMPLERS
from torch.utils.data import BatchSampler, Sampler

from semamb_mm.metric_learning import PKSampler


@DATA_SAMPLERS.register_module()
class IdentityBalancedSampler(PKSampler):
    """Batches of P classes with K samples each ("PK sampling").

    Give the dataloader ``batch_size = P * K``, and
    :class:`IdentityBalancedBatchSampler` as its batch sampler, which refuses any
    other. How the batches are drawn
    stands in :class:`semamb_mm.metric_learning.PKSampler`; this one reads the
    labels from a data set and this process's rank from MMEngine, which also
    calls ``set_epoch`` before every epoch.

    Example:
        ```python
        train_dataloader = dict(
            batch_size=64,
            sampler=dict(
                _delete_=True, type='IdentityBalancedSampler', num_classes_per_batch=16,
                num_samples_per_class=4),
            batch_sampler=dict(type='IdentityBalancedBatchSampler'))
        ```

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
        print_log(
            f"IdentityBalancedSampler: an epoch shows about {self.coverage:.0%} of the "
            "images; classes are drawn alike, large or small",
            logger="current",
        )


@DATA_SAMPLERS.register_module()
class IdentityBalancedBatchSampler(BatchSampler):
    """The batches of P × K, as a dataloader's ``batch_sampler``.

    MMEngine's Runner gives it the dataloader's sampler and batch size. The sampler
    is an :class:`IdentityBalancedSampler`, whose P × K must be the batch size; or
    any other, such as ``DefaultSampler``: then P is ``batch_size / K``.

    Example:
        ```python
        train_dataloader = dict(
            batch_size=64,
            sampler=dict(type='DefaultSampler', shuffle=True),
            batch_sampler=dict(
                type='IdentityBalancedBatchSampler', num_samples_per_class=4))
        ```

    Args:
        sampler (Sampler): The dataloader's. Of one that is no
            :class:`IdentityBalancedSampler` only ``dataset`` and ``seed`` are
            used, which MMEngine's samplers have.
        batch_size (int): Of each rank.
        num_samples_per_class (int, optional): K. That of an
            :class:`IdentityBalancedSampler` if left out, otherwise 4.

    Raises:
        ValueError: If the batch size is not P × K, or no multiple of K.
    """

    def __init__(
        self,
        sampler: Sampler,
        batch_size: int,
        num_samples_per_class: int | None = None,
    ) -> None:
        if not isinstance(sampler, IdentityBalancedSampler):
            per_class = num_samples_per_class or 4
            if batch_size % per_class:
                raise ValueError(
                    f"IdentityBalancedBatchSampler: batch_size={batch_size} is no "
                    f"multiple of num_samples_per_class={per_class}"
                )
            seed = getattr(sampler, "seed", None)
            sampler = IdentityBalancedSampler(
                sampler.dataset, batch_size // per_class, per_class, seed
            )
        p, k = sampler.num_classes_per_batch, sampler.num_samples_per_class
        if batch_size != p * k or num_samples_per_class not in (None, k):
            raise ValueError(
                f"IdentityBalancedBatchSampler: batch_size={batch_size} and "
                f"num_samples_per_class={num_samples_per_class} do not fit the "
                f"sampler, whose batches are {p} classes of {k}: set "
                f"batch_size={p * k} in the dataloader, or "
                "num_classes_per_batch and num_samples_per_class in its sampler"
            )
        # All batches are whole, so that drop_last would drop none. The Runner finds
        # the epoch's set_epoch in self.sampler.
        super().__init__(sampler, batch_size, drop_last=True)


def _labels(dataset) -> np.ndarray:
    if hasattr(dataset, "get_gt_labels"):
        return np.asarray(dataset.get_gt_labels())
    return np.array([dataset.get_data_info(i)["gt_label"] for i in range(len(dataset))])
