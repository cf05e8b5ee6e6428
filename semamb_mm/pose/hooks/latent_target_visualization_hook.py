"""The hook that shows what becomes of a few samples' targets."""

from __future__ import annotations

import cv2
import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.dist import master_only
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.registry import HOOKS

from semamb_mm.pictures.targets import draw_targets, targets_sheet
from semamb_mm.pose.inference import read_image
from semamb_mm.pose.latent_targets.samples import located_samples

from .latent_target_hook import LatentTargetHook


@HOOKS.register_module()
class LatentTargetVisualizationHook(Hook):
    """Draw what becomes of a few training samples' targets.

    Every ``interval`` epochs it adds one picture, ``latent_targets``, to the
    runner's visualizer (every backend: files, TensorBoard, ...): the same training
    samples each time, spread over the data set, with annotation, latent target
    and, as the prediction, what the search found. Needs
    :class:`LatentTargetHook`. A sample whose image cannot be read is left out with
    one warning.

    Example:
        ```python
        custom_hooks = [
            *_base_.custom_hooks,
            dict(type='LatentTargetHook', start=24, consensus=dict()),
            dict(type='LatentTargetVisualizationHook', interval=5)]
        ```

    Args:
        interval (int): Epochs between pictures; iterations in iteration-based
            loops. Defaults to 1.
        num_samples (int): How many samples. Defaults to 8.

    Raises:
        ValueError: On numbers below 1, or without a LatentTargetHook.
    """

    priority = "BELOW_NORMAL"  # after LatentTargetHook

    def __init__(self, interval: int = 1, num_samples: int = 8) -> None:
        if interval < 1 or num_samples < 1:
            raise ValueError(
                "interval and num_samples must be at least 1, got "
                f"{interval} and {num_samples}"
            )
        self.interval, self.num_samples = interval, num_samples

    def before_train(self, runner: Runner) -> None:
        """Choose the samples and read their images, once."""
        hooks = [h for h in runner.hooks if isinstance(h, LatentTargetHook)]
        if not hooks:
            raise ValueError("LatentTargetVisualizationHook needs a LatentTargetHook")
        self._store = hooks[0].store
        samples = located_samples(runner.train_dataloader.dataset)
        spread = np.linspace(0, len(samples) - 1, self.num_samples).astype(int)
        self._faces = []
        for row in np.unique(spread):
            dataset, index = samples[row]
            try:
                image = read_image(dataset, index)
            except (OSError, cv2.error):
                path = BaseDataset.get_data_info(dataset, index)["img_path"]
                runner.logger.warning(
                    f"{path} cannot be read: it is left out of the pictures of latent "
                    "targets."
                )
                continue
            truth = getattr(dataset, "true_keypoints", lambda index: None)(index)
            self._faces.append((row, image, truth))

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Draw, in iteration-based loops."""
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if not by_epoch and self.every_n_train_iters(runner, self.interval):
            self._draw(runner, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Draw, in epoch-based loops."""
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch and self.every_n_epochs(runner, self.interval):
            self._draw(runner, runner.epoch + 1)

    @master_only
    def _draw(self, runner: Runner, step: int) -> None:
        store, pictures, titles = self._store, [], []
        for row, image, truth in self._faces:
            annotation, target, found = (
                positions[row].masked_fill(~store.visible[row, :, None], np.nan).numpy()
                for positions in (store.annotations, store.targets, store.found)
            )
            pictures.append(draw_targets(image, annotation, target, found, truth))
            titles.append(store.keys[row])
        if pictures:
            known = any(truth is not None for *_, truth in self._faces)
            layers = ["annotation", "latent", "prediction"] + ["truth"] * known
            columns = min(4, len(pictures))
            sheet = targets_sheet(pictures, layers, columns, titles)
            picture = cv2.cvtColor(sheet, cv2.COLOR_BGR2RGB)
            runner.visualizer.add_image("latent_targets", picture, step=step)
