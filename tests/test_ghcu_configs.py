"""The second-stage configs: after a detector, without one, and jointly."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpose.registry import MODELS

import semamb_mm.pose  # noqa: F401
from tests import ROOT

from .test_configs import tiny_tree

CONFIGS = sorted((ROOT / "configs/ghcu").glob("slim-*.py"))


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def config(request, tmp_path, monkeypatch):
    init_default_scope("mmpose")
    monkeypatch.setenv("DATA_ROOT", str(tiny_tree(tmp_path / "faces")))
    config = Config.fromfile(str(request.param))
    for loader in (config.train_dataloader, config.val_dataloader):
        loader.update(batch_size=2, num_workers=0, persistent_workers=False)
        if "num_samples" in loader.dataset:
            loader.dataset.num_samples = 4
    config.train_cfg.update(max_epochs=1, val_interval=1)
    config.work_dir = str(tmp_path / "work")
    return config


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
