"""Two passes, with heads that read the landmarks from the input itself."""

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import InstanceData, PixelData
from mmpose.registry import DATASETS, KEYPOINT_CODECS, MODELS
from mmpose.structures import PoseDataSample
from mmpose.structures.bbox import get_warp_matrix

from semamb_mm.faces.roll import face_roll
from semamb_mm.pose.estimators.roll_normalized_estimator import turn
from tests.faces.test_roll import FLIP, difference, rotate
from tests.pose.conftest import tiny_config

SIZE = 96


class Oracle(torch.nn.Module):
    """Finds the true landmarks wherever they have been turned to.

    Channels 0 and 1 of its input are the x and y that a pixel had before the
    network's own turning: bilinear interpolation keeps such ramps exact.
    """

    def __init__(self, noise=0.0):
        super().__init__()
        self.noise = noise
        self.rng = np.random.default_rng(0)
        self.passes = []

    def predict(self, feats, data_samples, test_cfg):
        inputs = (feats[0] if test_cfg.get("flip_test") else feats).double().numpy()
        found = []
        for ramps, sample in zip(inputs, data_samples):
            y, x = np.mgrid[40:56, 40:56]
            pixels = np.stack([x, y, np.ones_like(x)], -1).reshape(-1, 3)
            came_from = ramps[:2, 40:56, 40:56].reshape(2, -1).T
            to_original = np.linalg.lstsq(pixels, came_from, rcond=None)[0]
            truth = sample.gt_instances.input_keypoints[0]
            keypoints = np.linalg.solve(to_original[:2].T, (truth - to_original[2]).T).T
            self.passes.append(keypoints)
            keypoints = keypoints + self.rng.normal(0, self.noise, keypoints.shape)
            found.append(
                InstanceData(
                    keypoints=keypoints[None], keypoint_scores=np.ones((1, 68))
                )
            )
        if test_cfg.get("output_heatmaps"):
            fields = [PixelData(heatmaps=image[2:]) for image in feats]
            return found, fields
        return found


def estimator(head, **test_cfg):
    model = MODELS.build(
        dict(tiny_config("unused")["model"], type="RollNormalizedEstimator")
    )
    model.extract_feat = lambda inputs: inputs
    model.head = head
    model.test_cfg = test_cfg
    return model.eval()


def faces(rolls, width=SIZE, height=SIZE):
    """Inputs and samples of faces turned by these degrees, and their truth."""
    dataset = DATASETS.build(
        dict(type="SyntheticFaceDataset", num_samples=len(rolls), image_size=160)
    )
    inputs, samples, truths = [], [], []
    for index, roll in enumerate(rolls):
        truth = rotate(dataset.true_keypoints(index), roll)
        center = (truth.min(0) + truth.max(0)) / 2
        side = 1.25 * np.ptp(truth, axis=0).max()
        scale = side * np.array([width, height]) / min(width, height)
        matrix = get_warp_matrix(center, scale, 0, (width, height))
        y, x = np.mgrid[:height, :width].astype(np.float32)
        # channel 2: a soft dot on the nose
        nose = matrix[:, :2] @ truth[30] + matrix[:, 2]
        dot = np.exp(-((x - nose[0]) ** 2 + (y - nose[1]) ** 2) / 18)
        inputs.append(np.stack([x, y, dot.astype(np.float32)]))
        sample = PoseDataSample(
            metainfo=dict(
                input_center=center,
                input_scale=scale,
                input_size=(width, height),
                flip_indices=FLIP,
            )
        )
        sample.gt_instances = InstanceData(
            bboxes=np.zeros((1, 4)),
            bbox_scores=np.ones(1),
            input_keypoints=(truth @ matrix[:, :2].T + matrix[:, 2])[None],
        )
        samples.append(sample)
        truths.append(truth)
    return torch.from_numpy(np.stack(inputs)), samples, truths


ROLLS = [0, 12, -35, 90, -120, 179]


@pytest.mark.parametrize("flip_test", [False, True])
@pytest.mark.parametrize("size", [(96, 96), (128, 96)])
def test_predictions_are_turned_back_exactly(size, flip_test):
    inputs, samples, truths = faces(ROLLS, *size)
    oracle = Oracle()
    results = estimator(oracle, flip_test=flip_test).predict(inputs, samples)
    assert len(oracle.passes) == 2 * len(ROLLS)
    for sample, truth, second in zip(results, truths, oracle.passes[len(ROLLS) :]):
        found = sample.pred_instances.keypoints[0]
        assert np.abs(found - truth).max() < 1e-3  # image pixels
        assert face_roll(second, FLIP) == pytest.approx(0, abs=1e-2)
        rolls = sample.pred_instances.rolls
        assert rolls == pytest.approx([face_roll(truth, FLIP)], abs=1e-3)


def test_a_poor_first_pass_leaves_few_degrees():
    angles = np.random.default_rng(1).uniform(-180, 180, 12)
    inputs, samples, truths = faces(angles)
    oracle = Oracle(noise=2.5)  # of 96 pixels: an NME of about 7 %
    results = estimator(oracle).predict(inputs, samples)
    left = [face_roll(second, FLIP) for second in oracle.passes[len(angles) :]]
    assert 0.01 < np.abs(left).max() < 8
    for sample, truth in zip(results, truths):
        estimated = sample.pred_instances.rolls[0]
        assert abs(difference(estimated, face_roll(truth, FLIP))) < 8


def middle(heatmap):
    y, x = np.mgrid[: heatmap.shape[0], : heatmap.shape[1]]
    weights = heatmap.numpy() / heatmap.numpy().sum()
    return np.array([(x * weights).sum(), (y * weights).sum()])


def test_heatmaps_are_turned_back_too():
    inputs, samples, _ = faces([0, 50, -70])
    results = estimator(Oracle(), output_heatmaps=True).predict(inputs, samples)
    for image, sample in zip(inputs[:, 2], results):
        heatmap = sample.pred_fields.heatmaps[0]
        assert np.abs(middle(heatmap) - middle(image)).max() < 0.05
        assert heatmap.max() > 0.9


@pytest.mark.parametrize("kind", ["MSRAHeatmap", "UDPHeatmap"])
@pytest.mark.parametrize("width", [96, 128])
def test_coarse_heatmaps_are_turned_back_about_the_inputs_middle(kind, width):
    """UDP's first and last cell lie on the input's rim: its middle cell is another."""
    size, cells = (width, 96), (width // 4, 24)
    codec = KEYPOINT_CODECS.build(
        dict(type=kind, input_size=size, heatmap_size=cells, sigma=2)
    )
    model = estimator(Oracle())
    model.head.decoder = codec
    center, truth = np.array([width, 96]) / 2, np.array([width / 2 + 12.0, 64.0])
    for degrees in (60.0, -140.0):
        angle = np.deg2rad(degrees)
        turned = center + (truth - center) @ np.array(
            [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
        )
        y, x = np.mgrid[: cells[1], : cells[0]]
        at = turned / codec.scale_factor
        heatmap = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / 8)[None]
        sample = PoseDataSample(metainfo=dict(input_center=center))
        sample.pred_instances = InstanceData(keypoints=turned[None, None].copy())
        sample.pred_fields = PixelData(heatmaps=torch.from_numpy(heatmap).float())
        model._turn_back(sample, torch.tensor(degrees))
        assert np.allclose(sample.pred_instances.keypoints[0, 0], truth)
        found = middle(sample.pred_fields.heatmaps[0]) * codec.scale_factor
        assert np.abs(found - truth).max() < 0.1


@pytest.mark.parametrize("shape", [(64, 64), (48, 64), (65, 50)])
def test_turn_agrees_with_mmposes_warp(shape):
    """A crop that is turned is the crop of a turned box."""
    width, height = shape
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.random((height, width, 3), np.float32), (0, 0), 2)
    center, scale = np.array([width, height]) / 2, np.array([width, height])
    for degrees in (0, 90, 31, -140):
        matrix = get_warp_matrix(center, scale, degrees, (width, height))
        expected = cv2.warpAffine(image, matrix, shape)
        tensor = torch.from_numpy(image).permute(2, 0, 1)[None]
        turned = turn(tensor, torch.tensor([float(degrees)]))[0].permute(1, 2, 0)
        # OpenCV interpolates in steps of 1 / 32 pixel
        inside = np.hypot(*(np.mgrid[:height, :width] - center[::-1, None, None]))
        inside = inside < min(shape) / 2 - 2
        difference = np.abs(turned.numpy() - expected)[inside]
        assert difference.max() < 0.02


def test_stock_checkpoints_and_training():
    config = tiny_config("unused")["model"]
    stock = MODELS.build(config)
    ours = MODELS.build(dict(config, type="RollNormalizedEstimator"))
    ours.load_state_dict(stock.state_dict(), strict=True)
    refined = dict(config, head=dict(config.head, refiner=dict(type="GHCU")))
    frozen = MODELS.build(dict(refined, type="RollNormalizedFrozenEstimator"))
    assert frozen.head.refine_only
    trained = {name for name, p in frozen.named_parameters() if p.requires_grad}
    assert trained and all(name.startswith("head.refiner.") for name in trained)
    with pytest.raises(ValueError, match="has none"):
        MODELS.build(dict(config, type="RollNormalizedFrozenEstimator"))
