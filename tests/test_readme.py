"""The README's example is run as it stands there, on a few generated faces."""

import re
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

ROOT = Path(__file__).parent.parent


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
    assert state["latent_targets"]["counts"].tolist() == [1, 1]


def test_files_and_commands_that_the_readme_names_exist():
    text = (ROOT / "README.md").read_text()
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", text):
        assert (ROOT / path).exists(), path
    for path in re.findall(r"(?:configs|tools|benchmarks)/[\w./-]+\.(?:py|sh)", text):
        assert (ROOT / path).exists(), path
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.M)
    for target in re.findall(r"^make (\w+)", text, re.M):
        assert target in targets
