"""Detector and refiner side by side, whatever the head returns."""

import numpy as np
from mmpose.registry import DATASETS

from semamb_mm.pose.refiners.measure import predict
from tests.small_detector import both_heads, ghcu_model  # noqa: F401


def test_heads_of_one_tensor_and_of_a_list_are_measured_alike(ghcu_model):  # noqa: F811
    config, cpm, heatmap = both_heads(ghcu_model)
    pipeline = config.val_dataloader.dataset.pipeline
    pipeline[-1].pack_transformed = True
    dataset = DATASETS.build(config.val_dataloader.dataset)
    expected, found = predict(cpm, dataset), predict(heatmap, dataset)
    assert found.detected.shape == (3, 68, 2)
    for name in ("truth", "detected", "confidence", "refined"):
        one, other = getattr(found, name), getattr(expected, name)
        assert np.array_equal(one, other, equal_nan=True), name
    assert heatmap.head.refiner is not None
