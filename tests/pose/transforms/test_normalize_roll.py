import numpy as np
import pytest
from mmengine.dataset import Compose
from mmpose.registry import DATASETS, TRANSFORMS

from semamb_mm.faces.roll import face_roll
from semamb_mm.pose.latent_targets.warp import check_warp, input_warp
from tests.faces.test_roll import FLIP, rotate
from tests.pose.augmented import BOX, FLIPS, UDP, attach_moved_store, make_dataset


def pipeline(normalize, flip=0.5):
    return [
        dict(type="LoadImage"),
        dict(type="GetBBoxCenterScale"),
        dict(type="RandomFlip", prob=flip),
        dict(type="RandomBBoxTransform", rotate_factor=80, rotate_prob=1.0),
        dict(type="NormalizeRoll", **normalize),
        dict(type="TopdownAffine", input_size=(96, 96)),
    ]


def samples(normalize, count=12, **options):
    """Processed faces that had been turned by any angle."""
    np.random.seed(0)
    dataset = DATASETS.build(
        dict(type="SyntheticFaceDataset", num_samples=count, image_size=96)
    )
    steps = Compose(pipeline(normalize, **options))
    for i in range(count):
        info = dataset.get_data_info(i)
        turned = rotate(info["keypoints"][0], 30 * i, (48, 48)).astype(np.float32)
        info["keypoints"] = turned[None]
        info["bbox"] = np.concatenate([turned.min(0), turned.max(0)])[None]
        yield steps(info)


def rolls_in_input(normalize, **options):
    return np.array(
        [
            face_roll(results["transformed_keypoints"][0], FLIP)
            for results in samples(normalize, **options)
        ]
    )


def test_faces_stand_upright_in_the_input_flipped_or_not():
    rolls = rolls_in_input(dict(jitter=0, prob=1.0))
    np.testing.assert_allclose(rolls, 0, atol=1e-2)


def test_jitter_is_what_is_left():
    rolls = rolls_in_input(dict(jitter=6, prob=1.0), count=200)
    assert 5 < rolls.std() < 7
    assert abs(rolls.mean()) < 1.5


def test_the_other_samples_keep_their_rotation():
    kept = rolls_in_input(dict(prob=0.0))
    without = [results["bbox_rotation"] for results in samples(dict(prob=0.0))]
    assert np.abs(kept).max() > 60 and len(np.unique(without)) == 12
    upright = np.abs(rolls_in_input(dict(jitter=0, prob=0.5), count=60)) < 0.1
    assert 15 < upright.sum() < 45


def test_without_a_box_transform_and_with_hidden_landmarks():
    step = TRANSFORMS.build(dict(type="NormalizeRoll", jitter=0, prob=1.0))
    dataset = DATASETS.build(dict(type="SyntheticFaceDataset", num_samples=1))
    face = rotate(dataset.true_keypoints(0), 25)
    spoilt, visible = face.copy(), np.ones((1, 68))
    spoilt[20], visible[0, 20] = np.nan, 0
    results = step(
        dict(keypoints=spoilt[None], keypoints_visible=visible, flip_indices=FLIP)
    )
    assert results["bbox_rotation"].dtype == np.float32
    expected = face_roll(face, FLIP, visible[0])
    assert results["bbox_rotation"] == pytest.approx([expected], abs=1e-4)


@pytest.mark.parametrize("use_udp", [False, True])
@pytest.mark.parametrize("flip", [[], FLIPS[:1]])
def test_semantic_alignment_brings_targets_back_through_it(flip, use_udp):
    normalize = dict(type="NormalizeRoll", prob=1.0)
    dataset = make_dataset(
        *flip, BOX, normalize, use_udp=use_udp, codec=UDP if use_udp else None
    )
    store = attach_moved_store(dataset)
    for index in range(len(dataset)):
        sample = dataset[index]["data_samples"]
        warp = input_warp(sample, use_udp=use_udp)
        check_warp(warp, sample)
        back = warp.to_image(sample.gt_instances.transformed_keypoints[0])
        assert np.abs(back - store.targets[index].numpy()).max() < 1e-3


@pytest.mark.parametrize("options", [dict(jitter=-1), dict(prob=1.1)])
def test_wrong_options(options):
    with pytest.raises(ValueError, match="jitter >= 0 and prob in"):
        TRANSFORMS.build(dict(type="NormalizeRoll", **options))
