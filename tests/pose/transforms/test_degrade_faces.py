import cv2
import numpy as np
import pytest
from mmpose.registry import DATASETS, TRANSFORMS


@pytest.fixture(scope="module")
def dataset():
    import semamb_mm.pose  # noqa: F401

    return DATASETS.build(dict(type="SyntheticFaceDataset", num_samples=6))


def build(name, **kwargs):
    return TRANSFORMS.build(dict(type=name, **{"prob": 1.0, **kwargs}))


@pytest.mark.parametrize("area", [0.1, 0.25, 0.4])
def test_occlusion_covers_the_share_of_the_face(dataset, area):
    transform = build("RandomFaceOcclusion", area=area, seed=0)
    shares, hidden = [], []
    for index in range(6):
        sample = dataset.get_data_info(index)
        before = sample["img"].copy()
        results = transform(sample)
        hull = cv2.convexHull(results["keypoints"][0].astype(np.float32))
        face = np.zeros(before.shape[:2], np.uint8)
        cv2.fillPoly(face, [np.rint(hull[:, 0]).astype(np.int32)], 1)
        changed = (results["img"] != before).any(-1)
        patch = cv2.erode(changed.astype(np.uint8), np.ones((5, 5)))  # its soft edge
        shares.append(patch[face > 0].mean())
        occluded = results["keypoints_occluded"]
        assert occluded.shape == (1, 68)
        x, y = np.rint(results["keypoints"][0][occluded[0]]).astype(int).T
        hidden.extend(changed[y, x])
    assert np.mean(shares) == pytest.approx(area, rel=0.2)
    assert len(hidden) > 10 and np.mean(hidden) > 0.9  # a filling may match a pixel


def test_a_seed_degrades_a_sample_always_alike(dataset):
    for name in ("RandomFaceOcclusion", "RandomLowQuality"):
        transform = build(name, seed=3)
        first, again = (transform(dataset.get_data_info(1))["img"] for _ in range(2))
        other = build(name, seed=4)(dataset.get_data_info(1))["img"]
        assert np.array_equal(first, again) and not np.array_equal(first, other)


@pytest.mark.parametrize("name", ["RandomFaceOcclusion", "RandomLowQuality"])
def test_landmarks_may_come_from_another_mark_up(dataset, name):
    """MMPose's converter gives visibilities with weights beside them."""
    convert = dict(type="KeypointConverter", num_keypoints=20)
    convert["mapping"] = [(k, k) for k in range(18)]  # the last two are not annotated
    sample = TRANSFORMS.build(convert)(dataset.get_data_info(1))
    sample["keypoints"][0, 18:] = -1000
    assert sample["keypoints_visible"].shape == (1, 20, 2)
    alone = dataset.get_data_info(1)
    for field in ("keypoints", "keypoints_visible"):
        alone[field] = alone[field][:, :18]
    images = [build(name, seed=3)(s)["img"] for s in (sample, alone)]
    assert np.array_equal(*images)


def test_numpys_seed_rules_without_one(dataset):
    images = []
    for _ in range(2):
        np.random.seed(5)
        images.append(build("RandomFaceOcclusion")(dataset.get_data_info(0))["img"])
    assert np.array_equal(*images)


def test_prob_0_leaves_the_image(dataset):
    sample = dataset.get_data_info(0)
    image = sample["img"].copy()
    sample = build("RandomFaceOcclusion", prob=0)(sample)
    sample = build("RandomLowQuality", prob=0)(sample)
    assert np.array_equal(sample["img"], image)
    assert not sample["keypoints_occluded"].any()


def test_low_quality_takes_fine_detail_and_keeps_the_rest(dataset):
    sample = dataset.get_data_info(0)
    before = sample["img"].astype(float)
    after = build("RandomLowQuality", face_size=(20, 20))(sample)["img"].astype(float)
    assert before.shape == after.shape

    def detail(image):
        return np.abs(image - cv2.GaussianBlur(image, (0, 0), 3)).mean()

    assert detail(after) < 0.6 * detail(before)
    coarse = np.abs(cv2.GaussianBlur(after - before, (0, 0), 8)).mean()
    assert coarse < 10


def test_occluded_landmarks_reach_the_metric(dataset):
    sample = build("RandomFaceOcclusion", seed=0)(dataset.get_data_info(2))
    sample["input_size"] = (96, 96)
    packed = TRANSFORMS.build(dict(type="PackPoseInputs"))(sample)
    instances = packed["data_samples"].gt_instances
    assert np.array_equal(instances.keypoints_occluded, sample["keypoints_occluded"])
    assert "keypoints" in instances


@pytest.mark.parametrize(
    "name, kwargs",
    [
        ("RandomFaceOcclusion", dict(area=(0.4, 0.1))),
        ("RandomFaceOcclusion", dict(area=1.0)),
        ("RandomFaceOcclusion", dict(prob=2)),
        ("RandomFaceOcclusion", dict(max_patches=0)),
        ("RandomLowQuality", dict(quality=(0, 50))),
        ("RandomLowQuality", dict(face_size=(50, 20))),
    ],
)
def test_wrong_arguments(name, kwargs):
    with pytest.raises(ValueError, match=name):
        build(name, **kwargs)


def test_a_face_without_landmarks_is_named(dataset):
    sample = dataset.get_data_info(0)
    sample["keypoints_visible"] = np.zeros((1, 68))
    with pytest.raises(ValueError, match="synthetic://.*shows no landmark"):
        build("RandomFaceOcclusion")(sample)
