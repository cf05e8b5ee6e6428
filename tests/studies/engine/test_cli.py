"""studies/engine/cli.py: options that all studies have."""

import torch
from mmengine.registry import OPTIM_WRAPPERS

from studies.engine import study_parser


def test_bfloat16_is_one_more_option_of_the_config(capsys):
    parser = study_parser("A study.", "work_dirs/study")
    assert parser.parse_args([]).cfg_options == {}
    for options in (
        ["--bfloat16", "--cfg-options", "a.b=1"],
        ["--cfg-options", "a.b=1", "--bfloat16"],
    ):
        found = parser.parse_args(options).cfg_options
        assert found.pop("optim_wrapper.type").endswith("BFloat16OptimWrapper")
        assert found == {"a.b": 1}
    assert parser.parse_args([]).cfg_options == {}


class Model(torch.nn.Module):
    """A backbone whose outputs' kinds are kept."""

    def __init__(self):
        super().__init__()
        self.backbone = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), Listed())


class Listed(torch.nn.Module):
    def forward(self, maps):
        self.kind = maps.dtype
        return [maps]


def test_the_backbone_is_in_bfloat16_and_all_else_is_not():
    kind = study_parser("A study.", "w").parse_args(["--bfloat16"]).cfg_options
    model = Model()
    weight = model.backbone[0].weight
    before = weight.detach().clone()
    wrapper = OPTIM_WRAPPERS.build(
        dict(
            type=kind["optim_wrapper.type"],
            optimizer=torch.optim.SGD(model.parameters(), lr=0.1),
        )
    )
    with wrapper.optim_context(model):
        (found,) = model.backbone(torch.ones(2, 3, 8, 8))
        loss = found.square().mean()
    assert model.backbone[1].kind == torch.bfloat16 and found.dtype == torch.float32
    wrapper.update_params(loss)
    assert weight.dtype == torch.float32 and not torch.equal(before, weight)
    model.backbone(torch.ones(2, 3, 8, 8))
    assert model.backbone[1].kind == torch.float32
