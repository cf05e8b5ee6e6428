"""A stock data set with the annotations of several people."""

import json

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from semamb_mm.pose.latent_targets.samples import build_store
from tests.trees.annotators import (
    coco,
    marks,
    source,
    write_coco,
    write_pictures,
    write_pts_folders,
)

NAMES = ["anna", "ben", "eva"]
MISSING = [(1, 2, 3), (2, 4, None), (0, 0, 0)]
PACKED = [
    dict(type="LoadImage"),
    dict(type="GetBBoxCenterScale"),
    dict(type="TopdownAffine", input_size=(64, 64)),
    dict(type="PackPoseInputs"),
]


def build(root, **options):
    """The data set of files below a folder."""
    init_default_scope("mmpose")
    stock = dict(source(), data_root=str(root))
    if "annotator_key" in options:
        stock["ann_file"] = "all.json"
    elif "annotators" not in options:
        options["annotators"] = {n: dict(ann_file=f"{n}.json") for n in NAMES}
    options.setdefault("serialize_data", False)
    return DATASETS.build(
        dict(type="SeveralAnnotatorsDataset", source=stock, **options)
    )


@pytest.fixture(scope="module")
def points():
    return marks(samples=6)


@pytest.fixture(scope="module")
def root(tmp_path_factory, points):
    folder = tmp_path_factory.mktemp("annotators")
    write_coco(folder, points, NAMES, MISSING)
    content = coco(points, NAMES, MISSING)
    (folder / "all.json").write_text(json.dumps(content))
    return folder


@pytest.mark.parametrize("one", [False, True])
def test_all_opinions_and_their_mean(root, points, one):
    """Of several files, or one."""
    dataset = build(root, annotator_key="annotator") if one else build(root)
    assert dataset.metainfo["annotators"] == NAMES
    assert len(dataset) == 6
    info = dataset.get_data_info(1)
    np.testing.assert_allclose(info["annotator_keypoints"], points[:, 1], rtol=1e-6)
    np.testing.assert_allclose(info["keypoints"][0], points[:, 1].mean(0), rtol=1e-6)
    assert "annotator" not in info and "flip_indices" in info
    assert dataset.get_data_info(2)["annotator_visible"].tolist() == [
        [1, 1, 1, 1, 1],
        [1, 1, 1, 0, 1],
        [1, 1, 1, 1, 1],
    ]
    assert not dataset.get_data_info(4)["annotator_visible"][2].any()
    assert all(
        (dataset.get_data_info(i)["keypoints_visible"] == 1).all() for i in range(6)
    )


def test_the_order_of_annotators_does_not_matter(root):
    """A config that MMEngine has dumped, as into the work dir, has them by name."""
    backwards = {name: dict(ann_file=f"{name}.json") for name in reversed(NAMES)}
    dataset = build(root, annotators=backwards)
    assert dataset.metainfo["annotators"] == NAMES
    stores = [build_store(each) for each in (dataset, build(root))]
    assert stores[0].fingerprint == stores[1].fingerprint


def test_a_missing_annotator_moves_no_mean(tmp_path):
    """Who puts all landmarks to the right is missed in no sample's mean."""
    points = marks(samples=60, noise=0.2)
    points[2] += (9, 0)
    write_coco(tmp_path, points, NAMES, [(2, i, None) for i in range(0, 60, 2)])
    dataset = build(tmp_path)
    means = np.stack([dataset.get_data_info(i)["keypoints"][0] for i in range(60)])
    away = (means - points.mean(0)).mean((1, 2))
    assert abs(away).max() < 1  # 3/2 without the correction
    np.testing.assert_allclose(means[1::2], points.mean(0)[1::2], rtol=1e-5)


def test_one_annotator_alone(root, points):
    """Samples that this one has, with what is missing."""
    dataset = build(root, annotation="eva", pipeline=PACKED)
    assert len(dataset) == 5
    info = dataset.get_data_info(0)
    np.testing.assert_allclose(info["keypoints"][0], points[2, 0], rtol=1e-6)
    assert dataset[0]["data_samples"].metainfo["annotator"] == "eva"


def test_a_sample_for_each_annotator(root, points):
    """Each with a key of its own, so that latent targets can tell them apart."""
    dataset = build(root, annotation="all", pipeline=PACKED)
    assert len(dataset) == 17
    names = [dataset[i]["data_samples"].metainfo["annotator"] for i in range(3)]
    assert names == NAMES
    np.testing.assert_allclose(
        dataset.get_data_info(1)["keypoints"][0], points[1, 0], rtol=1e-6
    )
    store = build_store(dataset)
    assert store.opinions is None
    assert store.keys[0] == "things/000.png#0@anna"


def test_a_random_annotator_each_time(root, points):
    """All come, each with the landmarks that this one has."""
    dataset = build(root, annotation="random", pipeline=PACKED)
    np.random.seed(0)
    drawn = [dataset.get_data_info(0) for _ in range(30)]
    assert {info["annotator"] for info in drawn} == set(NAMES)
    for info in drawn:
        number = NAMES.index(info["annotator"])
        shown = info["keypoints_visible"][0] > 0
        assert shown[0] == (number != 0)
        np.testing.assert_allclose(
            info["keypoints"][0][shown], points[number, 0][shown], rtol=1e-6
        )
    assert dataset[4]["data_samples"].metainfo["annotator"] in NAMES[:2]


def test_folders_of_pts(tmp_path):
    """Any data set that MMPose knows reads the files: here this package's."""
    points = marks(NAMES, samples=3)
    for folder in write_pts_folders(tmp_path, points, NAMES).values():
        write_pictures(folder, 3)
    init_default_scope("mmpose")
    dataset = DATASETS.build(
        dict(
            type="SeveralAnnotatorsDataset",
            source=dict(
                type="PtsFaceDataset",
                data_root=str(tmp_path),
                metainfo=source()["metainfo"],
            ),
            annotators={n: dict(data_prefix=dict(img=n)) for n in NAMES},
        )
    )
    store = build_store(dataset)
    np.testing.assert_allclose(store.opinions[0], points, atol=1e-3)
    assert store.opinions[1].all()
    assert store.keys[0] == "anna/000"


def test_converters_map_all_opinions(root):
    """The store has the mark-up that is trained."""
    mapping = [(4, 0), (1, 1)]
    step = dict(type="KeypointConverter", num_keypoints=2, mapping=mapping)
    dataset = build(root, pipeline=[step])
    store, plain = build_store(dataset), build_store(build(root))
    assert store.opinions[0].shape == (3, 6, 2, 2)
    for part, whole in zip(store.opinions, plain.opinions):
        assert np.array_equal(part, whole[:, :, [4, 1]])


def test_data_sets_of_other_annotators_are_refused(root):
    """Their errors would be mixed."""
    init_default_scope("mmpose")
    both = [build(root), build(root)]
    both[1]._metainfo["annotators"] = NAMES[::-1]
    together = DATASETS.build(dict(type="RepeatDataset", dataset=both[0], times=1))
    del together.dataset
    together.datasets = both
    with pytest.raises(ValueError, match="data sets of the annotators.*expected the s"):
        build_store(together)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(annotator_key="nobody"), "all.json: annotation 0 has no 'nobody'"),
        (dict(annotation="max"), "annotation is 'max'; expected.*'random'.*'anna'"),
        (dict(annotators=None), "needs annotators=.* or annotator_key"),
        (dict(test_mode=True), "for training: .*type='BaseCocoStyleDataset'"),
    ],
)
def test_bad_options_are_named(root, options, message):
    with pytest.raises(ValueError, match=message):
        build(root, **options)
