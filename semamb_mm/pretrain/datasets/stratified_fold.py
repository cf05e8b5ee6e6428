"""A data set wrapper: one fold of a training set, or all others."""

from __future__ import annotations

from mmpretrain.datasets import KFoldDataset
from mmpretrain.registry import DATASETS

from semamb_mm.audit.labels import stratified_folds


@DATASETS.register_module()
class StratifiedFoldDataset(KFoldDataset):
    """MMPretrain's ``KFoldDataset``, every class shared out among the folds.

    Images of one tracklet stay together, where data infos have ``tracklet_id``: they
    hardly differ, so that a model trained on one knows the others. For labels
    predicted out of fold, see ``tools/analysis/audit_labels.py``.

    Example:
        ```python
        train_dataloader = dict(dataset=dict(
            _delete_=True, type='StratifiedFoldDataset', fold=0, num_splits=5,
            dataset=dict(
                type='CUBRetrieval', data_root='data/CUB_200_2011', split='train',
                pipeline=_base_.train_pipeline)))
        ```

    Args:
        dataset (dict | BaseDataset): To be divided.
        fold (int): From 0. Defaults to 0.
        num_splits (int): Folds. Defaults to 5.
        test_mode (bool): Take this fold; all others if not. Defaults to False.
        seed (int): Of the division. Defaults to 0.

    Raises:
        ValueError: If there is no such fold, or there are more folds than images.
    """

    def __init__(
        self, dataset, fold: int = 0, num_splits: int = 5, test_mode=False, seed=0
    ) -> None:
        if not 0 <= fold < num_splits:
            raise ValueError(
                f"StratifiedFoldDataset: fold is one of 0 to {num_splits - 1}, not "
                f"{fold}"
            )
        super().__init__(dataset, fold, num_splits, test_mode, seed)

    def full_init(self) -> None:
        """Read the data set and take this side of it."""
        if self._fully_initialized:
            return
        self.dataset.full_init()
        infos = [self.dataset.get_data_info(i) for i in range(len(self.dataset))]
        folds = stratified_folds(
            [info["gt_label"] for info in infos],
            self.num_splits,
            self.seed,
            [info.get("tracklet_id", i) for i, info in enumerate(infos)],
        )
        kept = (folds == self.fold) == self.test_mode
        self._ori_indices = kept.nonzero()[0].tolist()
        self.dataset = self.dataset.get_subset(self._ori_indices)
        self._fully_initialized = True
