"""The second-stage configs: after a detector, without one, and jointly."""

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpose.registry import MODELS

from tests import ROOT

CONFIGS = sorted((ROOT / "configs/ghcu").glob("slim-*.py"))


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def config(request, load_slim):
    return load_slim(request.param)


def test_after_a_detector(config, tmp_path):
    base = Config.fromfile(config.filename)
    plain = dict(base.model, type="TopdownPoseEstimator")
    del plain["head"]["refiner"]
    torch.save(dict(state_dict=MODELS.build(plain).state_dict()), tmp_path / "one.pth")
    config.load_from = str(tmp_path / "one.pth")
    runner = Runner.from_cfg(config)
    runner.train()
    assert runner.iter == 2


def test_without_a_detector(config):
    with pytest.raises(RuntimeError, match="load_from=CHECKPOINT"):
        Runner.from_cfg(config).train()


def test_jointly(config):
    config.model.type = "TopdownPoseEstimator"
    runner = Runner.from_cfg(config)
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    after = runner.model.state_dict()
    for key in ("head.refiner.fc.1.weight", "head.multi_final_layers.0.weight"):
        assert not torch.equal(before[key], after[key])
