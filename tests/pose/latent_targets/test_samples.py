from types import SimpleNamespace

import numpy as np
import pytest
from mmengine.dataset import BaseDataset
from mmpose.registry import DATASETS

from semamb_mm.pose.latent_targets.samples import (
    build_store,
    keyed_annotations,
    located_samples,
    transforms_of,
)


def test_nan_annotation_is_named():
    dataset = DATASETS.build(dict(type="SyntheticFaceDataset", num_samples=2))
    dataset.full_init()
    infos = [dataset.get_data_info(i) for i in range(2)]
    infos[1]["keypoints"][0, 7, 0] = float("nan")

    class Infos(BaseDataset):
        def load_data_list(self):
            return infos

    with pytest.raises(ValueError, match="seed0/000001.*landmark 7"):
        build_store(Infos(serialize_data=False))


class Faces(BaseDataset):
    """Three faces of two landmarks."""

    def __init__(self, name, pipeline=(), landmarks=2, instances=1):
        self.landmarks, self.instances = landmarks, instances
        super().__init__(
            metainfo=dict(dataset_name=name), pipeline=list(pipeline), lazy_init=True
        )

    def load_data_list(self):
        points = [[[1.0, 2.0]] * self.landmarks] * self.instances
        return [dict(img_path=f"{i}.jpg", id=i, keypoints=points) for i in range(3)]


def one(results):
    return results


def two(results):
    return results


def test_samples_and_transforms_under_any_nesting():
    a, b = Faces("a", [one]), Faces("b", [two])
    outer = SimpleNamespace(dataset=SimpleNamespace(datasets=[a, b]), times=2)
    assert located_samples(outer) == [(d, i) for d in (a, b) for i in range(3)]
    assert transforms_of(outer) == [one, two]
    store = build_store(outer)
    assert store.keys == [f"{d}/{i}.jpg#{i}" for d in "ab" for i in range(3)]
    assert store.visible.all()


def test_a_wrappers_own_transforms_count():
    wrapper = SimpleNamespace(datasets=[Faces("a", [one])], pipeline=[two])
    assert transforms_of(wrapper) == [one, two]


def test_other_landmark_counts_and_several_instances_are_named():
    mixed = SimpleNamespace(datasets=[Faces("a"), Faces("b", landmarks=3)])
    with pytest.raises(ValueError, match="'b/0.jpg#0' has 3 landmarks.* before it 2"):
        build_store(mixed)
    with pytest.raises(ValueError, match="holds 2 instances.*topdown"):
        build_store(Faces("a", instances=2))


class Converter:
    """Stands for MMPose's: the second landmark first, and a third that is not there."""

    def __call__(self, results):
        points, shown = np.array(results["keypoints"]), np.zeros((1, 3, 2))
        shown[0, :2] = 1
        mapped = np.concatenate((points[:, ::-1], 0 * points[:, :1]), 1)
        return dict(results, keypoints=mapped, keypoints_visible=shown)


KeypointConverter = type("KeypointConverter", (Converter,), {})
LoadLatentTargets = type("LoadLatentTargets", (Converter,), {})


def test_the_store_holds_the_mark_up_that_is_trained():
    two = Faces("two", [KeypointConverter()])
    both = SimpleNamespace(datasets=[two, Faces("three", landmarks=3)])
    store = build_store(both)
    assert store.annotations.shape == (6, 3, 2)
    assert store.visible.tolist() == [[True, True, False]] * 3 + [[True] * 3] * 3
    # In a wrapper's own pipeline, or after the loader, where it is too late.
    wrapper = SimpleNamespace(datasets=[Faces("a")], pipeline=[KeypointConverter()])
    assert build_store(wrapper).num_keypoints == 3
    wrapper.pipeline = [LoadLatentTargets(), KeypointConverter()]
    with pytest.raises(ValueError, match="Converter stands after LoadLatentTargets"):
        build_store(wrapper)


def test_equal_names_of_two_roots_get_the_data_sets_number():
    one_root, other = Faces("a"), Faces("a")
    both = SimpleNamespace(datasets=[one_root, other])
    store = build_store(both)
    names = [f"a/{i}.jpg#{i}" for i in range(3)]
    assert store.keys == names + [f"1:{name}" for name in names]
    keys = [key for key, _ in keyed_annotations(located_samples(both))]
    assert keys == store.keys
