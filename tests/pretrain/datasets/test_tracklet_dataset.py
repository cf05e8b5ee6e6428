import pytest

from semamb_mm.pretrain import LPW, MARS
from tests.trees.retrieval import make_lpw, make_mars
from tests.trees.tracklets import by_tracklet


@pytest.mark.parametrize(("data_set", "make"), [(MARS, make_mars), (LPW, make_lpw)])
def test_stride_thins_tracklets(tmp_path, data_set, make):
    root = make(tmp_path, (1, 2, 3)) if data_set is LPW else make(tmp_path, frames=3)
    every, second = data_set(root), data_set(root, tracklet_stride=2)
    (keys, names), (kept_keys, kept) = by_tracklet(every), by_tracklet(second)
    assert kept_keys == keys
    assert kept == {number: images[::2] for number, images in names.items()}
    with pytest.raises(ValueError, match="tracklet_stride must be positive, got 0"):
        data_set(root, tracklet_stride=0)
