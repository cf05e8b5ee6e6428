"""What CUBRetrieval and CARS196Retrieval share."""

import pytest

from semamb_mm.pretrain import CUBRetrieval
from tests.trees.retrieval import make_cub

PIPELINE = [
    dict(type="mmpretrain.LoadImageFromFile"),
    dict(type="mmpretrain.CropToBox"),
]


def infos(dataset):
    return [dataset.get_data_info(i) for i in range(len(dataset))]


def test_crop_without_the_transform_is_refused(tmp_path):
    root = make_cub(tmp_path)
    with pytest.raises(ValueError, match="crop=True needs dict.type='CropToBox'"):
        CUBRetrieval(root, crop=True, pipeline=PIPELINE[:1])
