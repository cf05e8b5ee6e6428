"""The README's examples are run as they stand there."""

import importlib
import re
from collections import Counter
from unittest.mock import MagicMock

import torch
from mmengine.config import Config
from mmengine.dataset import DefaultSampler
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmpretrain.registry import DATA_SAMPLERS, MODELS
from mmpretrain.structures import DataSample

from tests import ROOT


def test_ten_line_example_trains(tmp_path):
    text = (ROOT / "README.md").read_text()
    example = re.search(r"<!-- tested -->\n```python\n(.*?)```", text, re.S).group(1)
    code = [line for line in example.splitlines() if line and line[0] != "#"]
    assert len(code) <= 14
    path = tmp_path / "my_config.py"
    path.write_text(example)
    cfg = Config.fromfile(str(path))
    assert cfg.custom_hooks[-1].type == "LatentTargetHook"
    cfg.custom_hooks[-1].start = 0
    cfg.model.backbone.init_cfg = None
    dataset = dict(type="SyntheticFaceDataset", num_samples=2)
    dataset["pipeline"] = cfg.train_dataloader.dataset.pipeline
    cfg.train_dataloader = dict(
        batch_size=2,
        num_workers=0,
        sampler=dict(type="DefaultSampler", shuffle=True),
        dataset=dataset,
    )
    cfg.train_cfg = dict(by_epoch=True, max_epochs=1)
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None
    cfg.default_hooks.checkpoint = dict(type="CheckpointHook", interval=1)
    cfg.work_dir = str(tmp_path / "work")
    init_default_scope("mmpose")
    runner = Runner.from_cfg(cfg)
    runner.train()
    state = torch.load(tmp_path / "work" / "epoch_1.pth", weights_only=True)
    counts = state["latent_targets"]["counts"]
    # All that the augmentation left within the image have been searched once.
    assert counts.shape == (2, 68) and counts.max() == 1 and counts.sum() > 100


def test_retrieval_example_trains(tmp_path):
    text = (ROOT / "README.md").read_text()
    example = re.search(
        r"<!-- tested: retrieval -->\n```python\n(.*?)```", text, re.S
    ).group(1)
    path = tmp_path / "my_config.py"
    path.write_text(example)
    cfg = Config.fromfile(str(path))
    for module in cfg.custom_imports.imports:
        importlib.import_module(module)
    init_default_scope("mmpretrain")
    cfg.model.image_encoder[0].init_cfg = None
    model = MODELS.build(cfg.model)
    samples = [DataSample().set_gt_label(label) for label in (0, 0, 3996, 3996)]
    losses = model(torch.rand(4, 3, 32, 32), samples, mode="loss")
    sum(value for name, value in losses.items() if "loss" in name).backward()
    assert model.head.context.weight.grad[3996].any()
    dataset = MagicMock(get_gt_labels=lambda: [i // 8 for i in range(256)])
    dataset.__len__ = lambda _: 256
    loader = cfg.train_dataloader
    batches = DATA_SAMPLERS.build(
        loader.batch_sampler,
        default_args=dict(
            sampler=DefaultSampler(dataset), batch_size=loader.batch_size
        ),
    )
    classes = Counter(i // 8 for i in next(iter(batches)))
    assert list(classes.values()) == [4] * 16


def test_the_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 150
