import os

import numpy as np
import pytest
from mmengine.dataset import BaseDataset
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from semamb_mm.pose.datasets import (
    PtsFaceDataset,
    SyntheticFaceDataset,
    write_pts_tree,
)
from semamb_mm.synthetic.faces import render_face

PIPELINE = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="TopdownAffine", input_size=(64, 64)),
    dict(
        type="GenerateTarget",
        encoder=dict(
            type="MSRAHeatmap", input_size=(64, 64), heatmap_size=(16, 16), sigma=1
        ),
    ),
    dict(type="PackPoseInputs", meta_keys=("id", "sample_key", "img_path")),
]


def test_registered_and_runs_mmpose_pipeline():
    init_default_scope("mmpose")
    dataset = DATASETS.build(
        dict(type="SyntheticFaceDataset", num_samples=3, pipeline=PIPELINE)
    )
    assert len(dataset) == 3
    packed = dataset[1]
    assert packed["inputs"].shape == (3, 64, 64)
    sample = packed["data_samples"]
    assert sample.sample_key == "synthetic/seed0/000001"
    assert sample.gt_fields.heatmaps.shape == (68, 16, 16)


@pytest.mark.parametrize("serialize_data", [True, False])
def test_sample_fields(serialize_data):
    dataset = SyntheticFaceDataset(4, seed=3, serialize_data=serialize_data)
    info = dataset.get_data_info(2)
    assert info["sample_idx"] == 2
    assert info["id"] == info["img_id"] == 2
    assert info["sample_key"] == "synthetic/seed3/000002"
    assert info["img_path"].startswith("synthetic://")
    assert info["keypoints"].shape == (1, 68, 2)
    assert info["keypoints"].dtype == info["bbox"].dtype == np.float32
    np.testing.assert_array_equal(info["keypoints_visible"], np.ones((1, 68)))
    np.testing.assert_array_equal(info["img"], render_face(3, 2).image)
    points = info["keypoints"][0]
    np.testing.assert_array_equal(info["bbox"][0, :2], points.min(0))
    np.testing.assert_array_equal(info["bbox"][0, 2:], points.max(0))
    assert dataset.get_data_info(-1)["sample_idx"] == 3
    # what is kept in memory has no image, and the keypoints without drawing
    kept = BaseDataset.get_data_info(dataset, 2)
    assert "img" not in kept
    np.testing.assert_array_equal(kept["keypoints"], info["keypoints"])


def test_same_every_time_and_other_with_another_seed():
    first, second = SyntheticFaceDataset(3, seed=1), SyntheticFaceDataset(3, seed=1)
    for idx in range(3):
        one, other = first.get_data_info(idx), second.get_data_info(idx)
        np.testing.assert_array_equal(one["img"], other["img"])
        np.testing.assert_array_equal(one["keypoints"], other["keypoints"])
    another = SyntheticFaceDataset(3, seed=2)
    assert not np.allclose(first.true_keypoints(0), another.true_keypoints(0))


def values(results):
    """All arrays and numbers in nested pipeline results, by a depth-first walk."""
    if isinstance(results, dict):
        results = list(results.values())
    if isinstance(results, (list, tuple)):
        for item in results:
            yield from values(item)
    elif isinstance(results, (np.ndarray, np.generic)):
        yield np.asarray(results)


def test_truth_never_reaches_the_pipeline():
    seen = []
    dataset = SyntheticFaceDataset(5, pipeline=[lambda results: seen.append(results)])
    dataset.max_refetch = 0
    for idx in range(5):
        with pytest.raises(Exception, match="Cannot find valid image"):
            dataset[idx]
        results = seen[idx]
        truth = dataset.true_keypoints(idx)
        assert not np.allclose(results["keypoints"][0], truth)
        numbers = np.concatenate(
            [
                value.ravel()
                for key, value in results.items()
                if isinstance(value, np.ndarray) and key != "img"
            ]
        )
        assert not np.isin(truth.ravel(), numbers).any()
        kept = [vars(results["dataset"]), BaseDataset.get_data_info(dataset, idx)]
        for value in values(kept):
            if np.issubdtype(value.dtype, np.floating):
                assert not np.isin(truth.ravel(), value.ravel()).any()


def test_truth_where_it_is_asked_for():
    dataset = SyntheticFaceDataset(3, annotation="truth", test_mode=True)
    for idx in range(3):
        truth = dataset.true_keypoints(idx)
        np.testing.assert_array_equal(dataset.get_data_info(idx)["keypoints"][0], truth)
        np.testing.assert_array_equal(truth, render_face(0, idx).keypoints)


@pytest.mark.parametrize("serialize_data", [True, False])
def test_subsets_keep_their_faces(serialize_data):
    whole = SyntheticFaceDataset(8)
    part = SyntheticFaceDataset(8, indices=[6, 1], serialize_data=serialize_data)
    for subset in (part, whole.get_subset([6, 1])):
        assert len(subset) == 2
        info = subset.get_data_info(0)
        assert info["sample_idx"] == 0
        assert info["sample_key"] == "synthetic/seed0/000006"
        np.testing.assert_array_equal(info["img"], render_face(0, 6).image)
        np.testing.assert_array_equal(subset.true_keypoints(0), whole.true_keypoints(6))
        np.testing.assert_array_equal(subset.occluded(0), render_face(0, 6).occluded)


def test_lazy_init_and_measuring():
    dataset = SyntheticFaceDataset(2, lazy_init=True, occlusion=1.0)
    assert not dataset._fully_initialized
    assert dataset.true_keypoints(1).shape == (68, 2)
    assert dataset.occluded(1).shape == (68,)
    assert any(dataset.occluded(idx).any() for idx in range(2))


def test_cached_image_is_not_changed_by_the_pipeline():
    dataset = SyntheticFaceDataset(1, cache_images=True)
    first = dataset.get_data_info(0)["img"]
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(dataset.get_data_info(0)["img"], kept)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (dict(num_samples=0), "num_samples is 0"),
        (dict(seed=-1), "seed is -1"),
        (dict(image_size=8), "image_size is 8"),
        (dict(annotation="guess"), "annotation is 'guess'"),
        (dict(occlusion=20), "occlusion is 20"),
        (dict(noise="loud"), "unknown annotation noise 'loud'"),
        (
            dict(metainfo=dict(from_file="configs/_base_/datasets/cofw.py")),
            "metainfo has 29 keypoints",
        ),
    ],
)
def test_wrong_arguments(wrong, message):
    with pytest.raises(ValueError, match=message):
        SyntheticFaceDataset(**{"num_samples": 1, **wrong})


def test_written_tree_is_the_same_data(tmp_path):
    dataset = SyntheticFaceDataset(3, seed=4)
    write_pts_tree(dataset, tmp_path / "tree")
    files = PtsFaceDataset(
        data_root=str(tmp_path / "tree"),
        data_prefix=dict(img="images"),
        pipeline=[dict(type="mmpose.LoadImage")],
    )
    assert len(files) == 3
    for idx in range(3):
        drawn, read = dataset.get_data_info(idx), files[idx]
        np.testing.assert_array_equal(read["img"], drawn["img"])
        for key in ("keypoints", "bbox"):
            np.testing.assert_allclose(read[key], drawn[key], atol=1e-3)
    truth = sorted(os.listdir(tmp_path / "tree" / "truth"))
    assert truth == ["000000.pts", "000001.pts", "000002.pts"]
    with pytest.raises(FileExistsError, match="tree exists already"):
        write_pts_tree(dataset, tmp_path / "tree")


def test_interrupted_tree_leaves_nothing(tmp_path, monkeypatch):
    dataset = SyntheticFaceDataset(2)
    monkeypatch.setattr("cv2.imwrite", lambda *_: False)
    with pytest.raises(OSError, match="could not write"):
        write_pts_tree(dataset, tmp_path / "tree")
    assert not list(tmp_path.iterdir())
