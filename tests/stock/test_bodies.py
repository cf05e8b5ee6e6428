"""MMPose's own configs of people and animals, from another folder."""

import pytest

from .stock import train_as_a_user, train_here, try_stock

COCO = "body_2d_keypoint/topdown_heatmap/coco/"
AP10K = "animal_2d_keypoint/topdown_heatmap/ap10k/"


@pytest.mark.parametrize(
    "stock, train",
    [
        (COCO + "td-hm_res50_8xb64-210e_coco-256x192.py", train_as_a_user),
        (COCO + "td-hm_hrnet-w32_8xb64-210e_coco-256x192.py", train_here),
        (AP10K + "td-hm_hrnet-w32_8xb64-210e_ap10k-256x256.py", train_here),
    ],
    ids=["coco-res50", "coco-hrnet", "ap10k"],
)
def test_semantic_alignment_by_a_few_lines(tmp_path, stock, train):
    try_stock(tmp_path, stock, train)
