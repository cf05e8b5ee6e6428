"""A small detector, with and without a GHCU, as files."""

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import MODELS

import semamb_mm.pose  # noqa: F401

from .pose.conftest import tiny_config


def write_model(folder, **changes):
    """Paths of a config and of an untrained checkpoint of it.

    Its last convolutions are set to a blur, so that its heatmaps have peaks that can
    be decoded to a fraction of a cell.
    """
    init_default_scope("mmpose")
    config = tiny_config(folder / "work", **changes)
    config.model.head.update(conv_out_channels=(8,), conv_kernel_sizes=(7,))
    dataset = config.val_dataloader.dataset
    # Inference knows no landmarks to make targets of.
    dataset.pipeline = [t for t in dataset.pipeline if t.type != "GenerateTarget"]
    dataset.num_samples = 3
    visualizer = dict(type="PoseLocalVisualizer", name="visualizer")
    config = Config(
        dict(
            config,
            test_dataloader=config.val_dataloader,
            visualizer=visualizer,
            data_mode="topdown",
            dataset_type="PtsFaceDataset",
        )
    )
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    blur, final = model.head.multi_deconv_layers[0][1][0], model.head.multi_final_layers
    gaussian = torch.exp(-((torch.arange(7) - 3.0) ** 2) / 8)
    weight = torch.eye(8)[..., None, None] * torch.outer(gaussian, gaussian) / 4
    blur.load_state_dict(dict(weight=weight), strict=False)
    torch.nn.init.uniform_(final[0].weight, -0.2, 0.3)
    torch.nn.init.constant_(final[0].bias, 0.3)
    config.dump(folder / "config.py")
    torch.save(dict(state_dict=model.state_dict(), meta={}), folder / "model.pth")
    return str(folder / "config.py"), str(folder / "model.pth")


GHCU = dict(model=dict(head=dict(refiner=dict(type="GHCU", confidence_threshold=0.5))))


@pytest.fixture(scope="session")
def ghcu_model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model"), **GHCU)


@pytest.fixture(scope="session")
def degraded_model(tmp_path_factory):
    """A GHCU config that degrades in training, and a checkpoint."""
    path, checkpoint = write_model(tmp_path_factory.mktemp("degraded"), **GHCU)
    config = Config.fromfile(path)
    load, *steps = config.train_dataloader.dataset.pipeline
    degradation = [
        dict(type="RandomFaceOcclusion", area=(0.1, 0.4), prob=0.5),
        dict(type="RandomLowQuality", prob=0.5),
    ]
    config.train_dataloader.dataset.pipeline = [load, *degradation, *steps]
    config.dump(path)
    return path, checkpoint


def both_heads(model):
    """A written model, and the same with a HeatmapHead in its CPMHead's place."""
    path, checkpoint = model
    config = Config.fromfile(path)
    init_default_scope("mmpose")
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    cpm = MODELS.build(config.model)
    cpm.load_state_dict(weights)
    del config.model.head["num_stages"]
    config.model.head.deconv_out_channels = None
    heatmap = MODELS.build(config.model)
    heatmap.load_state_dict(weights)
    return config, cpm.eval(), heatmap.eval()
