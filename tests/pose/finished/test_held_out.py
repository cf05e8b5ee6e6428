"""Predictions over views, of detectors that take turns."""

from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.config import Config

from semamb_mm.pose.finished import held_out
from semamb_mm.pose.finished.held_out import (
    Predictions,
    jittered,
    pipeline_of_tests,
    predict_views,
)


def predictions(rows):
    values = np.asarray(rows, float)
    points = np.stack([values, -values], -1)[:, None]
    return Predictions(points, values[:, None], values[:, None], values[:, None] > 0)


def test_predictions_come_back_in_the_samples_order_and_from_a_file(tmp_path):
    rows = [[3, 0], [1, 2]]
    joined = Predictions.joined([predictions(part) for part in rows], rows)
    np.testing.assert_array_equal(joined.confidences[:, 0], [0, 1, 2, 3])
    np.testing.assert_array_equal(joined.points[:, 0, 1], [0, -1, -2, -3])
    joined.save(tmp_path / "found.npz")
    read = Predictions.load(tmp_path / "found.npz")
    for name, value in vars(joined).items():
        np.testing.assert_array_equal(getattr(read, name), value)


def test_views_are_averaged_and_their_spread_is_told(monkeypatch):
    def predict(model, samples, batch_size):
        points = np.random.normal(size=(2, 3, 2))  # what MMPose's transforms do
        return points, np.full((2, 3), len(drawn) + 1.0), np.array(points[..., 0] > 0)

    drawn = []

    def recorded(*arguments):
        drawn.append(predict(*arguments))
        return drawn[-1]

    monkeypatch.setattr(held_out, "predict", recorded)
    state = np.random.get_state()[1].tolist()
    found = predict_views(SimpleNamespace(), [[], []], 4)
    assert np.random.get_state()[1].tolist() == state
    first, second = (part[0] for part in drawn)
    np.testing.assert_allclose(found.points, (first + second) / 2)
    half = np.linalg.norm(first - second, axis=-1) / 2
    np.testing.assert_allclose(found.spread, half)
    assert (found.confidences == 1.5).all()
    np.testing.assert_array_equal(
        found.inside, (first > 0)[..., 0] & (second > 0)[..., 0]
    )
    again = predict_views(SimpleNamespace(), [[], []], 4)
    np.testing.assert_array_equal(again.points, found.points)


def test_the_jitter_comes_before_the_crop():
    pipeline = [dict(type="LoadImage"), dict(type="TopdownAffine"), dict(type="Pack")]
    types = [step["type"] for step in jittered(pipeline)]
    assert types == ["LoadImage", "RandomBBoxTransform", "TopdownAffine", "Pack"]
    assert len(pipeline) == 3
    with pytest.raises(ValueError, match="Take one view"):
        jittered(pipeline[:1])


def test_the_pipeline_is_that_of_validation_or_test():
    steps = [dict(type="LoadImage")]
    loader = dict(dataset=dict(pipeline=steps))
    for split in ("val", "test"):
        config = Config({f"{split}_dataloader": loader})
        assert pipeline_of_tests(config) == steps
    with pytest.raises(ValueError, match="neither val_dataloader"):
        pipeline_of_tests(Config({}))
