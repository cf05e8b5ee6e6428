"""A detector and its refiner side by side on whole data sets."""

from __future__ import annotations

import sys
from dataclasses import dataclass

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.utils import track_iter_progress
from torch import nn
from torch.utils.data import DataLoader

from semamb_mm.faces.sizes import face_unit
from semamb_mm.pose.heads import last_stage

from .threshold import Measured

DEGRADING = ("RandomFaceOcclusion", "RandomLowQuality")


@dataclass
class Predictions:
    """Of N faces, in pixels of the network's input.

    Attributes:
        truth: ``(N, K, 2)``, NaN where not labelled.
        occluded: ``(N, K)`` bool, under a patch.
        detected: ``(N, K, 2)`` from the heatmaps.
        confidence: ``(N, K)`` the heatmaps' height.
        refined: ``(N, K, 2)`` from the refiner.
    """

    truth: np.ndarray
    occluded: np.ndarray
    detected: np.ndarray
    confidence: np.ndarray
    refined: np.ndarray

    def measured(
        self, neighbourhood: float = 0.0, refined: np.ndarray | None = None
    ) -> Measured:
        """Return them with the errors, of the refiner or of other positions."""
        return Measured(
            self.confidence,
            self.truth,
            self.detected,
            self.refined if refined is None else refined,
            face_unit(self.truth),
            neighbourhood,
        )


def measuring_pipeline(config: Config, degrade: bool, seed: int) -> list[dict]:
    """Return the test pipeline, with the training's degradations or not.

    Args:
        config: With a refiner.
        degrade: Each face by one of the train pipeline's degradations, always.
        seed: Of the degradation.

    Raises:
        ValueError: If the train pipeline has no degradation.
    """
    load, *steps, pack = config.val_dataloader.dataset.pipeline
    if degrade:
        degradation = [
            dict(t, prob=1.0, seed=seed)
            for t in config.train_dataloader.dataset.pipeline
            if t["type"] in DEGRADING
        ]
        if not degradation:
            raise ValueError(
                f"{config.filename}: the train pipeline has none of {DEGRADING}, so "
                "there is nothing to choose a threshold by"
            )
        # One kind a face, as prob 1 for all would make every face hopeless.
        choice = dict(type="RandomChoice", transforms=[[t] for t in degradation])
        steps = [choice, *steps]
    return [load, *steps, dict(pack, pack_transformed=True)]


def predict(
    model: nn.Module, dataset: BaseDataset, batch_size: int = 32
) -> Predictions:
    """Return detector's and refiner's positions of all faces.

    Args:
        model: With a refiner, which is set aside meanwhile.
        dataset: Its pipeline packs with ``pack_transformed=True``.
        batch_size: Faces at a time.
    """
    parts = []
    head = model.head
    refiner, head.refiner = head.refiner, None
    loader = DataLoader(dataset, batch_size, collate_fn=pseudo_collate)
    try:
        for batch in track_iter_progress((loader, len(loader)), file=sys.stderr):
            data = model.data_preprocessor(batch, False)
            with torch.no_grad():
                outputs = head.forward(model.extract_feat(data["inputs"]))
                shapes = refiner(head.refiner_heatmaps(outputs))
            shapes = shapes.cpu().numpy() * head.refiner_scale
            found = head.decode(last_stage(outputs))
            faces = [sample.gt_instances for sample in data["data_samples"]]
            truth = np.concatenate([f.transformed_keypoints[..., :2] for f in faces])
            labelled = np.concatenate([f.keypoints_visible for f in faces]) > 0
            never = np.zeros((1, truth.shape[1]), bool)
            parts.append(
                (
                    np.where(labelled[..., None], truth, np.nan),
                    np.concatenate([f.get("keypoints_occluded", never) for f in faces]),
                    np.concatenate([f.keypoints for f in found]),
                    np.concatenate([f.keypoint_scores for f in found]),
                    shapes,
                )
            )
    finally:
        head.refiner = refiner
    return Predictions(*(np.concatenate(part) for part in zip(*parts)))
