import numpy as np
import pytest

from semamb_mm.pose.latent_targets.keys import sample_key


def test_sample_key_prefers_the_data_sets_own():
    assert sample_key(dict(sample_key="x", img_path="a.jpg", id=1)) == "x"


def test_sample_key_is_the_same_under_another_root():
    class AtRoot:
        def __init__(self, root):
            self.data_prefix = dict(img=root)

    info = dict(dataset_name="300w", id=np.int64(7))
    first = sample_key(dict(info, img_path="/a/images/x.jpg"), AtRoot("/a/images"))
    second = sample_key(dict(info, img_path="b/x.jpg"), AtRoot("b/"))
    assert first == second == "300w/x.jpg#7"


def test_sample_without_a_name_is_refused():
    with pytest.raises(KeyError, match="sample_key"):
        sample_key(dict(keypoints=1))
