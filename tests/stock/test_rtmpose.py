"""MMPose's own RTMPose configs, from another folder."""

import pytest

from .stock import train_as_a_user, train_here, try_stock

# MMPose says which of two boxes it takes, and warns of every augmentation by
# albumentations that it thinks moves landmarks.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Use the existing:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*not pixel-level:UserWarning"),
]
# One process without a GPU has no synchronised batch normalisation.
BATCH_NORM = "model.backbone.norm_cfg.type=BN"
# The medium network's depth and width would take a minute.
TINY = (
    "model.backbone.deepen_factor=0.167",
    "model.backbone.widen_factor=0.375",
    "model.head.in_channels=384",
)


@pytest.mark.parametrize(
    "stock, train, options",
    [
        (
            "body_2d_keypoint/rtmpose/coco/rtmpose-t_8xb256-420e_coco-256x192.py",
            train_as_a_user,
            # The pipeline of the last epochs.
            ("custom_hooks.0.switch_epoch=0",),
        ),
        (
            "face_2d_keypoint/rtmpose/wflw/rtmpose-m_8xb64-60e_wflw-256x256.py",
            train_here,
            TINY,
        ),
    ],
    ids=["body", "face"],
)
def test_semantic_alignment_by_a_few_lines(tmp_path, stock, train, options):
    options = (BATCH_NORM, *options)
    try_stock(tmp_path, stock, train, "SemanticAlignmentRTMCCHead", options)
