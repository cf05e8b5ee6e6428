"""A trained detector on samples of data sets."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import mmcv
import numpy as np
import torch
from mmengine import fileio
from mmengine.dataset import BaseDataset, pseudo_collate
from mmengine.utils import track_iter_progress
from torch import nn


@torch.no_grad()
def predict(
    model: nn.Module, samples: Sequence[tuple[BaseDataset, int]], batch_size: int = 32
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what the detector finds, in the samples' order.

    Args:
        model: A top-down estimator.
        samples: Data sets, under a test pipeline, and indices.
        batch_size: Samples at a time.

    Returns:
        Landmarks ``(N, K, 2)`` in image pixels, their scores ``(N, K)``, and
        ``(N, K)`` bool, which of them lie inside the image.
    """
    keypoints, scores, inside = [], [], []
    for start in track_iter_progress(
        list(range(0, len(samples), batch_size)), file=sys.stderr
    ):
        batch = [leaf[i] for leaf, i in samples[start : start + batch_size]]
        for result in model.test_step(pseudo_collate(batch)):
            points = result.pred_instances.keypoints[0].astype(np.float64)
            height, width = result.ori_shape
            keypoints.append(points)
            scores.append(result.pred_instances.keypoint_scores[0])
            inside.append(((points >= 0) & (points < (width, height))).all(-1))
    return np.stack(keypoints), np.stack(scores), np.stack(inside)


def read_image(dataset: BaseDataset, index: int) -> np.ndarray:
    """Return a sample's image, ``(H, W, 3)`` uint8, BGR, as its annotation sees it.

    Raises:
        OSError: If the file is missing or is no image.
    """
    if hasattr(dataset, "read_frame"):
        return dataset.read_frame(index)
    info = dataset.get_data_info(index)
    image = info.get("img")
    if image is None:
        image = mmcv.imfrombytes(fileio.get(info["img_path"]))
    if image is None:
        raise OSError(f"{info['img_path']} cannot be read")
    return image
