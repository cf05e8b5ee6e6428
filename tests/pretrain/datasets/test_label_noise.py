"""Wrong labels that are planted on purpose."""

from collections import Counter

import numpy as np
import pytest
from PIL import Image

from semamb_mm.pretrain import OmniglotRetrieval
from semamb_mm.pretrain.datasets.label_noise import (
    plant_small_clusters,
    plant_wrong_labels,
)

CLASSES, IMAGES = 10, 6


@pytest.fixture
def folder(tmp_path):
    """Ten characters; their six drawings are three pairs that look alike."""
    for c in range(CLASSES):
        for i in range(IMAGES):
            looks = np.random.default_rng((c, i // 2)).integers(0, 256, (20, 20))
            looks = looks + np.random.default_rng((c, i)).integers(-3, 4, (20, 20))
            path = tmp_path / f"images_background/Greek/character{c:02d}"
            path.mkdir(parents=True, exist_ok=True)
            image = Image.fromarray(looks.clip(0, 255).astype(np.uint8))
            image.save(path / f"{c:04d}_{i:02d}.png")
    return str(tmp_path)


def samples_of(folder):
    dataset = OmniglotRetrieval(folder, version="full")
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    return [dict(img_path=s["img_path"], gt_label=s["gt_label"]) for s in infos]


def labels_of(samples):
    return np.array([(s["true_label"], s["gt_label"]) for s in samples]).T


@pytest.mark.parametrize("share, dissolved", [(0.3, 3), (0.25, 3), (0.01, 1)])
def test_whole_classes_are_dissolved_by_pairs_that_look_alike(folder, share, dissolved):
    samples = samples_of(folder)
    plant_small_clusters(samples, share, seed=4)
    true, label = labels_of(samples)
    gone = set(true) - set(label)
    assert len(gone) == dissolved
    assert set(true[true != label]) == gone
    for one in gone:
        new = label[true == one]
        assert (new[0::2] == new[1::2]).all()
        assert not set(new) & gone


def test_small_clusters_are_of_one_seed(folder):
    def planted(seed):
        samples = samples_of(folder)
        plant_small_clusters(samples, 0.3, seed)
        return labels_of(samples)[1].tolist()

    assert planted(4) == planted(4) != planted(5)


def test_small_clusters_need_classes_that_stay(folder):
    samples = samples_of(folder)
    with pytest.raises(ValueError, match="90% of the images dissolve 9 of 10 classes"):
        plant_small_clusters(samples, 0.9, seed=0)
    with pytest.raises(ValueError, match="at least 2 classes"):
        plant_small_clusters(samples[:IMAGES], 0.1, seed=0)


def test_a_class_of_one_image_is_a_cluster():
    samples = [dict(img_path="not read", gt_label=label) for label in range(5)]
    plant_small_clusters(samples, 0.4, seed=0)
    true, label = labels_of(samples)
    assert (true != label).sum() == 2


def test_symmetric_labels_are_spread_over_the_other_classes(folder):
    samples = [dict(s) for s in samples_of(folder) * 20]
    plant_wrong_labels(samples, 0.5, seed=0)
    true, label = labels_of(samples)
    assert (true != label).sum() == len(samples) // 2
    steps = Counter((label - true)[true != label] % CLASSES)
    assert set(steps) == set(range(1, CLASSES))
    assert max(steps.values()) < 2 * min(steps.values())


def test_the_data_set_takes_the_kind_of_noise(folder):
    options = dict(version="full", label_noise=0.3, noise_seed=4)
    dataset = OmniglotRetrieval(folder, noise_kind="small_cluster", **options)
    samples = samples_of(folder)
    plant_small_clusters(samples, 0.3, seed=4)
    assert dataset.get_gt_labels().tolist() == [s["gt_label"] for s in samples]
    with pytest.raises(ValueError, match=r"noise_kind is one of .*, not 'open'"):
        OmniglotRetrieval(folder, noise_kind="open", **options)
