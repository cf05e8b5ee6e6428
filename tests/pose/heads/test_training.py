"""Heads trained by MMEngine's Runner: drop-in both ways, and searched."""

import pytest
import torch
from mmengine.runner import Runner, load_checkpoint
from mmpose.registry import MODELS

from tests.pose.conftest import CODEC, tiny_config

WITHOUT = dict(deconv_out_channels=None)
PLAIN = dict(custom_hooks=[], train_cfg=dict(max_epochs=1))
MEGVII = [
    dict(
        type="MegviiHeatmap",
        input_size=CODEC["input_size"],
        heatmap_size=CODEC["heatmap_size"],
        kernel_size=size,
    )
    for size in (7, 5)
]


def set_head(config, **head):
    """Give a config another head; of the old one only channels and codec stay."""
    old = config.model.head
    config.model.head = dict(
        dict(in_channels=old.in_channels, out_channels=68, decoder=CODEC), **head
    )
    return config


def set_codec(config, codec, **target):
    """Train on another codec's heatmaps."""
    pipelines = [
        loader.dataset.pipeline
        for loader in (config.train_dataloader, config.val_dataloader)
    ]
    for step in (s for steps in pipelines for s in steps):
        if step["type"] == "GenerateTarget":
            step["encoder"] = codec
            step.update(target)


def trained(config):
    """Run a config's training, return its runner."""
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


def hook_of(runner):
    (hook,) = [h for h in runner.hooks if type(h).__name__ == "LatentTargetHook"]
    return hook


def heatmaps(model):
    """The last stage's, of two images."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 64, 64, generator=generator)
    with torch.no_grad():
        outputs = model.eval().head.forward(model.extract_feat(image))
    return outputs[-1] if isinstance(outputs, list) else outputs


@pytest.mark.parametrize(
    ("stock", "arguments"),
    [("HeatmapHead", WITHOUT), ("CPMHead", dict(num_stages=1))],
)
def test_a_stock_checkpoint_loads_whole(tmp_path, stock, arguments):
    """Two iterations of the stock head, loaded into ours: equal predictions."""
    config = set_head(tiny_config(tmp_path, **PLAIN), type=stock, **arguments)
    theirs = trained(config).model
    config.model.head.type = "SemanticAlignmentHead"
    config.load_from = str(tmp_path / "epoch_1.pth")
    ours = MODELS.build(config.model)
    load_checkpoint(ours, config.load_from, strict=True)
    assert torch.equal(heatmaps(ours), heatmaps(theirs))


def test_load_from_and_resume_take_an_earlier_versions_checkpoint(tmp_path):
    """Until then the head without ``num_stages`` was what ``num_stages=1`` is now."""
    before = set_head(
        tiny_config(tmp_path / "before", **PLAIN),
        type="SemanticAlignmentHead",
        num_stages=1,
        refiner=dict(type="GHCU"),
    )
    before.train_dataloader.dataset.pipeline[-1].pack_transformed = True
    earlier = trained(before).model
    checkpoint = tmp_path / "before" / "epoch_1.pth"
    assert "head.multi_final_layers.0.weight" in torch.load(checkpoint)["state_dict"]
    model = dict(before.model, head=dict(before.model.head, **WITHOUT))
    del model["head"]["num_stages"]
    for kind in ("TopdownPoseEstimator", "FrozenDetectorEstimator"):
        ours = MODELS.build(dict(model, type=kind))
        load_checkpoint(ours, str(checkpoint), strict=True)
        assert torch.equal(heatmaps(ours), heatmaps(earlier))
    now = set_head(
        tiny_config(tmp_path / "now", load_from=str(checkpoint), resume=True),
        **model["head"],
    )
    now.train_dataloader.dataset.pipeline[-1].pack_transformed = True
    runner = trained(now)
    assert runner.epoch == 2 and hook_of(runner).store.counts.sum() > 0


@pytest.mark.parametrize("kind", ["mspn", "vipnas", "visibility", "combined"])
def test_other_heads_are_searched(tmp_path, kind):
    config = tiny_config(tmp_path, train_cfg=dict(max_epochs=1))
    if kind == "mspn":
        config.model.backbone = dict(
            type="MSPN", unit_channels=8, num_stages=1, num_units=2, num_blocks=[1, 1]
        )
        config.model.head = dict(
            type="SemanticAlignmentMSPNHead",
            out_shape=(32, 32),
            unit_channels=8,
            out_channels=68,
            num_stages=1,
            num_units=2,
            level_indices=[0, 1],
            decoder=MEGVII[-1],
            refiner=dict(type="GHCU"),
        )
        set_codec(config, MEGVII, multilevel=True)
        config.train_dataloader.dataset.pipeline[-1].pack_transformed = True
    elif kind == "vipnas":
        set_head(
            config,
            type="SemanticAlignmentViPNASHead",
            deconv_out_channels=None,
            deconv_num_groups=None,
        )
    elif kind == "visibility":
        pose = dict(config.model.head)
        config.model.head = dict(
            type="VisPredictHead",
            pose_cfg=dict(pose),
            loss=dict(type="BCELoss", use_target_weight=False, use_sigmoid=True),
        )
    else:
        codec = dict(
            type="UDPHeatmap",
            input_size=CODEC["input_size"],
            heatmap_size=CODEC["heatmap_size"],
            heatmap_type="combined",
        )
        set_head(
            config,
            type="SemanticAlignmentHead",
            out_channels=3 * 68,
            deconv_out_channels=None,
            decoder=codec,
            loss=dict(type="CombinedTargetMSELoss", use_target_weight=True),
        )
        config.model.train_cfg = dict(compute_acc=False)
        set_codec(config, codec)
    store = hook_of(trained(config)).store
    assert store.num_keypoints == 68
    assert (store.counts > 0).any() and torch.isfinite(store.targets).all()
