import pytest
from mmengine.config import ConfigDict
from mmpose.models.heads import HeatmapHead

from semamb_mm.pose.heads.in_place_of import align_head


@pytest.mark.parametrize(
    ("stock", "ours"),
    [
        ("HeatmapHead", "SemanticAlignmentHead"),
        ("mmpose.CPMHead", "SemanticAlignmentHead"),
        (HeatmapHead, "SemanticAlignmentHead"),
        ("ViPNASHead", "SemanticAlignmentViPNASHead"),
        ("RTMCCHead", "SemanticAlignmentRTMCCHead"),
        ("SemanticAlignmentHead", "SemanticAlignmentHead"),
        ("SemanticAlignmentRTMCCHead", "SemanticAlignmentRTMCCHead"),
    ],
)
def test_a_heads_type_is_replaced_and_nothing_else(stock, ours):
    model = ConfigDict(head=dict(type=stock, out_channels=3))
    align_head(model)
    assert model.head == dict(type=ours, out_channels=3)


def test_a_head_inside_another_is_replaced():
    inner = dict(type="HeatmapHead", out_channels=3)
    model = ConfigDict(head=dict(type="VisPredictHead", pose_cfg=inner))
    align_head(model)
    assert model.head.type == "VisPredictHead"
    assert model.head.pose_cfg.type == "SemanticAlignmentHead"


def test_a_head_that_cannot_be_searched_is_named():
    model = ConfigDict(head=dict(type="RegressionHead"))
    with pytest.raises(
        TypeError, match="model.head.type='RegressionHead'.*Which heads"
    ):
        align_head(model)
    with pytest.raises(TypeError, match="model.head.type='None'"):
        align_head(ConfigDict())
