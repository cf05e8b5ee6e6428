"""studies/photo_places.py: views of places in photographs."""

import numpy as np
import pytest

pytest.importorskip("skimage", reason="scikit-image is not installed")

from semamb_mm.pretrain import OmniglotRetrieval
from studies import photo_places


def test_training_and_test_places_are_of_different_photographs():
    names = [name for part in photo_places.PHOTOGRAPHS.values() for name in part]
    assert len(names) == len(set(names)) == 16


@pytest.mark.parametrize("name", ["chelsea", "china", "stereo_motorcycle"])
def test_photographs_are_grey_and_hold_enough_places(name):
    photograph = photo_places.read_photograph(name)
    assert photograph.dtype == np.uint8 and max(photograph.shape) <= 640
    places = photo_places.choose_places(photograph, photo_places.PLACES)
    assert len(set(places)) == photo_places.PLACES


def test_places_are_those_of_most_contrast():
    photograph = np.full((128, 192), 100, np.uint8)
    photograph[64:128:2, 128:192] = 200
    photograph[0:64:2, 64:128] = 150
    assert photo_places.choose_places(photograph, 2) == [(160, 96), (96, 32)]
    with pytest.raises(ValueError, match="6 squares of 64 pixels, 7 are needed"):
        photo_places.choose_places(photograph, 7)


def test_views_of_a_place_are_more_alike_than_views_of_two():
    photograph = photo_places.read_photograph("chelsea")
    places = photo_places.choose_places(photograph, 6)
    rng = np.random.default_rng(0)
    views = np.array(
        [
            photo_places.view(photograph, place, rng)
            for place in places
            for _ in range(8)
        ]
    )
    assert views.shape == (48, 28, 28) and views.dtype == np.uint8
    likeness = np.corrcoef(views.reshape(48, -1).astype(float))
    same = np.kron(np.eye(6), np.ones((8, 8))) > 0
    others = ~np.eye(48, dtype=bool)
    assert likeness[same & others].mean() > likeness[~same].mean() + 0.1
    assert likeness[others].max() < 0.99


def test_the_tree_is_read_as_omniglot(tmp_path, monkeypatch):
    parts = dict(images_background=("chelsea",), images_evaluation=("coins",))
    monkeypatch.setattr(photo_places, "PHOTOGRAPHS", parts)
    folder = tmp_path / "photos"
    assert photo_places.write_places(folder) == 2 * photo_places.PLACES
    for split in ("train", "test"):
        dataset = OmniglotRetrieval(str(folder), version="full", split=split)
        assert np.bincount(dataset.get_gt_labels()).tolist() == [20] * 14
