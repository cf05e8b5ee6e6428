import pytest
import torch
from mmengine.runner import load_checkpoint
from mmpose.registry import MODELS

from tests.pose.conftest import tiny_config

STAGE_TWO = dict(
    model=dict(type="FrozenDetectorEstimator", head=dict(refiner=dict(type="GHCU"))),
    custom_hooks=[],
    train_cfg=dict(max_epochs=1),
)


def stage_two(make_runner, tmp_path, **changes):
    runner = make_runner(tmp_path / "two", **STAGE_TWO, **changes)
    runner.cfg.train_dataloader.dataset.pipeline[-1].pack_transformed = True
    runner._train_dataloader.dataset.pipeline[-1].pack_transformed = True
    return runner


@pytest.fixture
def detector(make_runner, tmp_path):
    runner = make_runner(
        tmp_path / "one", custom_hooks=[], train_cfg=dict(max_epochs=1)
    )
    runner.train()
    return str(tmp_path / "one" / "epoch_1.pth")


def test_only_the_refiner_changes(make_runner, tmp_path, detector):
    runner = stage_two(make_runner, tmp_path, load_from=detector)
    before = {k: v.clone() for k, v in runner.model.state_dict().items()}
    runner.train()
    old = torch.load(detector)["state_dict"]
    new = runner.model.state_dict()
    for key, value in old.items():  # batch statistics among them
        assert torch.equal(new[key], value), key
    assert not torch.equal(
        new["head.refiner.fc.1.weight"], before["head.refiner.fc.1.weight"]
    )


def test_its_checkpoint_loads_into_the_stock_estimator(make_runner, tmp_path, detector):
    stage_two(make_runner, tmp_path, load_from=detector).train()
    cfg = tiny_config(tmp_path, **STAGE_TWO)["model"]
    stock = MODELS.build(dict(cfg, type="TopdownPoseEstimator"))
    load_checkpoint(stock, str(tmp_path / "two" / "epoch_1.pth"), strict=True)


def test_no_checkpoint_and_half_a_checkpoint_are_errors(
    make_runner, tmp_path, detector
):
    with pytest.raises(RuntimeError, match="load_from=CHECKPOINT"):
        stage_two(make_runner, tmp_path).train()
    state = torch.load(detector)["state_dict"]
    del state["head.multi_final_layers.0.weight"]
    torch.save(dict(state_dict=state), tmp_path / "half.pth")
    with pytest.raises(RuntimeError, match="1 of .*multi_final_layers.0.weight"):
        stage_two(make_runner, tmp_path, load_from=str(tmp_path / "half.pth")).train()


def test_a_checkpoint_of_another_detector_is_an_error(make_runner, tmp_path, detector):
    state = torch.load(detector)["state_dict"]
    key = "head.multi_final_layers.0.weight"
    state[key] = state[key][:19]
    torch.save(dict(state_dict=state), tmp_path / "other.pth")
    with pytest.raises(ValueError, match=rf"{key} has shape \(19, .*config's \(68, "):
        stage_two(make_runner, tmp_path, load_from=str(tmp_path / "other.pth")).train()


def test_a_head_without_a_refiner_is_an_error(tmp_path):
    cfg = tiny_config(tmp_path)["model"]
    with pytest.raises(ValueError, match="model.head.refiner"):
        MODELS.build(dict(cfg, type="FrozenDetectorEstimator"))
