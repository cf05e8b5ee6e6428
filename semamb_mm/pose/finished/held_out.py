"""What finished detectors predict, over several views of each sample.

A view is the sample in a box that is a little shifted and scaled. Where a detector is
unsure, its views disagree.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, fields

import numpy as np
from mmengine.config import Config
from torch import nn

from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.inference import predict

_JITTER = dict(
    type="RandomBBoxTransform",
    shift_factor=0.08,
    shift_prob=1.0,
    scale_factor=(0.9, 1.1),
    rotate_prob=0.0,  # MMPose maps rotated predictions back wrongly
)


@dataclass(frozen=True)
class Predictions:
    """Of N samples of K landmarks.

    Attributes:
        points: ``(N, K, 2)`` image pixels, the mean over the views.
        confidences: ``(N, K)`` keypoint scores, the mean over the views.
        spread: ``(N, K)`` pixels, root mean square distance of the views from their
            mean; 0 of a single view.
        inside: ``(N, K)`` bool, whether the point lies inside the image in every view.
    """

    points: np.ndarray
    confidences: np.ndarray
    spread: np.ndarray
    inside: np.ndarray

    @classmethod
    def joined(
        cls, parts: Sequence[Predictions], rows: Sequence[Sequence[int]]
    ) -> Predictions:
        """Put the predictions of several detectors in the samples' order.

        Args:
            parts: Of a detector each.
            rows: Their samples; together each sample once.
        """
        order = np.argsort(np.concatenate([np.asarray(part, int) for part in rows]))
        names = [field.name for field in fields(cls)]
        return cls(
            *(
                np.concatenate([getattr(p, name) for p in parts])[order]
                for name in names
            )
        )

    def save(self, path: str | os.PathLike) -> None:
        """Write an .npz file."""
        with atomic_write(path, "wb") as file:
            np.savez(file, **vars(self))

    @classmethod
    def load(cls, path: str | os.PathLike) -> Predictions:
        """Read what :meth:`save` wrote."""
        with np.load(path, allow_pickle=False) as arrays:
            return cls(**{field.name: arrays[field.name] for field in fields(cls)})


def jittered(pipeline: Sequence) -> list:
    """Return a test pipeline that shifts and scales the boxes at random.

    Raises:
        ValueError: If it has no ``TopdownAffine`` to do so before.
    """
    steps = list(deepcopy(pipeline))
    places = [i for i, step in enumerate(steps) if step["type"] == "TopdownAffine"]
    if not places:
        raise ValueError(
            "views need a top-down pipeline with TopdownAffine; there is none in "
            "val_dataloader.dataset.pipeline. Take one view"
        )
    steps.insert(places[0], dict(_JITTER))
    return steps


def pipeline_of_tests(config: Config) -> Sequence:
    """Return the pipeline that a config's detector is tested with.

    Raises:
        ValueError: If it has neither validation nor test data.
    """
    for split in ("val", "test"):
        loader = config.get(f"{split}_dataloader")
        if loader:
            return loader.dataset.pipeline
    raise ValueError(
        "the config has neither val_dataloader nor test_dataloader, whose pipeline "
        "predictions are made with"
    )


def predict_views(
    model: nn.Module, views: Sequence[Sequence[tuple]], batch_size: int = 32
) -> Predictions:
    """Return what a detector finds in the same samples, view by view.

    Args:
        model: A top-down estimator.
        views: For each, data set and index of every sample; the data sets of all but
            the first have the :func:`jittered` pipeline. The jitter is the same each
            time.
        batch_size: Samples at a time.
    """
    found = []
    for number, samples in enumerate(views):
        state = np.random.get_state()
        np.random.seed(number)  # what MMPose's transforms draw from
        try:
            found.append(predict(model, samples, batch_size))
        finally:
            np.random.set_state(state)
    points, confidences, inside = (np.stack(part) for part in zip(*found))
    mean = points.mean(0)
    spread = np.sqrt(((points - mean) ** 2).sum(-1).mean(0))
    return Predictions(mean, confidences.mean(0), spread, inside.all(0))
