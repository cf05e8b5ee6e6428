"""MMPose's own configs of faces and hands, from another folder."""

import pytest

from .stock import train_as_a_user, train_here, try_stock

# MMPose says which of two boxes it takes.
pytestmark = pytest.mark.filterwarnings("ignore:Use the existing:UserWarning")
FACE = "face_2d_keypoint/topdown_heatmap/"
HAND = "hand_2d_keypoint/topdown_heatmap/onehand10k/"


@pytest.mark.parametrize(
    "stock, train",
    [
        (FACE + "300w/td-hm_hrnetv2-w18_8xb64-60e_300w-256x256.py", train_as_a_user),
        (FACE + "wflw/td-hm_hrnetv2-w18_8xb64-60e_wflw-256x256.py", train_here),
        (FACE + "cofw/td-hm_hrnetv2-w18_8xb64-60e_cofw-256x256.py", train_here),
        (FACE + "aflw/td-hm_hrnetv2-w18_8xb64-60e_aflw-256x256.py", train_here),
        (HAND + "td-hm_res50_8xb32-210e_onehand10k-256x256.py", train_here),
    ],
    ids=["300w", "wflw", "cofw", "aflw", "onehand10k"],
)
def test_semantic_alignment_by_a_few_lines(tmp_path, stock, train):
    try_stock(tmp_path, stock, train)
