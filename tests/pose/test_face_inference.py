"""MMPose's own inference with a detector that has a GHCU."""

import numpy as np
import pytest
from mmengine.config import Config
from mmpose.apis import MMPoseInferencer, inference_topdown, init_model
from mmpose.registry import DATASETS

from tests import ROOT
from tests.small_detector import ghcu_model  # noqa: F401


@pytest.fixture(scope="module")
def picture():
    dataset = DATASETS.build(
        dict(type="SyntheticFaceDataset", num_samples=1, image_size=64)
    )
    return dataset.get_data_info(0)["img"]


def test_scores_say_which_landmarks_were_corrected(ghcu_model, picture):  # noqa: F811
    model = init_model(*ghcu_model, device="cpu")
    sample = inference_topdown(model, picture, np.array([[4, 4, 60, 60]]))[0]
    scores = sample.pred_instances.keypoint_scores
    corrected = sample.pred_instances.keypoints_corrected
    assert corrected.any() and not corrected.all()
    assert np.array_equal(scores < 0, corrected)
    assert np.array_equal(scores < 0.5, corrected)  # the threshold


@pytest.mark.parametrize(
    "estimator", ["TopdownPoseEstimator", "RollNormalizedEstimator"]
)
def test_mmposes_inferencer_gives_the_same(
    ghcu_model,  # noqa: F811
    picture,
    tmp_path,
    estimator,
):
    path, checkpoint = ghcu_model
    changed = Config.fromfile(path)
    changed.model.type = estimator
    config = str(tmp_path / "config.py")
    changed.dump(config)
    model = init_model(config, checkpoint, device="cpu")
    expected = inference_topdown(model, picture)[0].pred_instances
    inferencer = MMPoseInferencer(
        pose2d=config, pose2d_weights=checkpoint, device="cpu"
    )
    (face,) = next(inferencer(picture, return_vis=False))["predictions"][0]
    assert np.allclose(face["keypoints"], expected.keypoints[0], atol=1e-3)
    assert np.allclose(face["keypoint_scores"], expected.keypoint_scores[0], atol=1e-5)


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "configs").glob("[gs]*/*.py")),
    ids=lambda path: path.stem,
)
def test_configs_name_what_the_inferencer_needs(path):
    config = Config.fromfile(str(path))
    assert config.data_mode == "topdown" and config.visualizer
    assert config.dataset_type in DATASETS
