"""A trained detector on samples of data sets."""

import numpy as np
import pytest
from mmengine.config import Config

from semamb_mm.cli import open_pose_model, training_set
from semamb_mm.pose.inference import predict, read_image
from tests.small_detector import ghcu_model  # noqa: F401


@pytest.fixture
def opened(ghcu_model):  # noqa: F811
    path, checkpoint = ghcu_model
    config = Config.fromfile(path)
    dataset = training_set(config, config.val_dataloader.dataset.pipeline)
    return open_pose_model(config, checkpoint), dataset


def test_samples_are_predicted_in_order_whatever_the_batch(opened):
    model, dataset = opened
    samples = [(dataset, i) for i in (4, 0, 2)]
    keypoints, scores, inside = predict(model, samples, batch_size=2)
    assert keypoints.shape == (3, 68, 2) and scores.shape == inside.shape == (3, 68)
    for i, sample in enumerate(samples):
        alone, score, _ = predict(model, [sample], batch_size=1)
        np.testing.assert_allclose(alone[0], keypoints[i], atol=1e-3)
        np.testing.assert_allclose(score[0], scores[i], atol=1e-5)
    within = ((keypoints >= 0) & (keypoints < 64)).all(-1)
    np.testing.assert_array_equal(inside, within)


def test_an_image_is_drawn_or_read(opened, tmp_path):
    _, dataset = opened
    assert read_image(dataset, 0).shape == (64, 64, 3)

    class Files:
        def get_data_info(self, index):
            return dict(img_path=str(tmp_path / f"{index}.png"))

    (tmp_path / "1.png").write_bytes(b"no picture")
    for index, message in ((0, "0.png"), (1, "1.png cannot be read")):
        with pytest.raises(OSError, match=message):
            read_image(Files(), index)
