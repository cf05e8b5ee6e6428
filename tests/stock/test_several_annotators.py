"""The config of docs/several_annotators.md is trained as it stands there."""

import json
import re

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

from tests import ROOT
from tests.trees.annotators import coco, marks, write_coco
from tools import search_targets
from tools.analysis import compare_annotators

PAGE = (ROOT / "docs/several_annotators.md").read_text(encoding="utf-8")
CONFIG = re.search(r"<!-- tested -->\n```python\n(.*?)```", PAGE, re.S).group(1)
SMALL = dict(
    model=dict(
        backbone=dict(depth=18, stem_channels=8, base_channels=4, init_cfg=None),
        head=dict(in_channels=32, deconv_out_channels=(8, 8, 8)),
    ),
    train_cfg=dict(max_epochs=2, val_interval=2),
    train_dataloader=dict(batch_size=6, num_workers=0, persistent_workers=False),
    val_dataloader=dict(num_workers=0, persistent_workers=False),
    default_hooks=dict(checkpoint=dict(interval=2, save_best=None)),
    work_dir="work",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Trained for two epochs, the second of which searches."""
    folder = tmp_path_factory.mktemp("several")
    points = marks(["anna", "ben"], samples=12)
    write_coco(folder / "data/things", points, ["anna", "ben"], [(1, 3, None)])
    content = coco(points[:1, :2])
    (folder / "data/things/val.json").write_text(json.dumps(content))
    path = folder / "mine.py"
    path.write_text(CONFIG.replace("start=140", "start=0"))
    config = Config.fromfile(str(path))
    config.merge_from_dict(SMALL)
    config.dump(folder / "mine.py")
    init_default_scope("mmpose")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        Runner.from_cfg(config).train()
    return folder


def test_targets_are_made_of_all(folder):
    """They were searched, and are not the mean that training began with."""
    state = torch.load(folder / "work/epoch_2.pth", weights_only=True)
    targets = state["latent_targets"]
    assert targets["targets"].shape == (12, 5, 2)
    means = torch.from_numpy(marks(["anna", "ben"], samples=12).mean(0)).float()
    moved = (targets["targets"] - means).norm(dim=-1)
    assert torch.isfinite(moved).all() and moved.max() > 1e-3


def test_they_are_compared_by_the_config(folder, monkeypatch):
    """With the detector as the third observer; the pictures are found."""
    monkeypatch.chdir(folder)
    arguments = ["--config", "mine.py", "--checkpoint", "work/epoch_2.pth"]
    compare_annotators.main([*arguments, "--out-dir", "out", "--resamples", "2"])
    said = (folder / "out/summary.md").read_text()
    assert "| anna | 60 |" in said and "| ben | 55 |" in said
    assert "| network | 60 |" in said and "not trained on" in said
    assert (folder / "out/worst.jpg").is_file()
    config = Config.fromfile("mine.py")
    config.train_dataloader.dataset = dict(
        config.train_dataloader.dataset, annotation="anna"
    )
    config.dump("alone.py")
    with pytest.raises(SystemExit, match="alone.py: its train data have one annotat"):
        compare_annotators.main(["--config", "alone.py"])


def test_a_finished_detector_of_the_mean_is_trained_again_on_targets_of_all(
    folder, monkeypatch
):
    """The commands of the page, for a config without the hook."""
    monkeypatch.chdir(folder)
    config = Config.fromfile("mine.py")
    config.custom_hooks = config.custom_hooks[:-1]
    config.model.head.type = "HeatmapHead"
    config.work_dir = "again"
    config.dump("mean.py")
    arguments = ["mean.py", "work/epoch_2.pth", "--views", "2", "--out", "targets.npz"]
    search_targets.main(arguments)
    targets = torch.from_numpy(np.load("targets.npz")["targets"])
    means = torch.from_numpy(marks(["anna", "ben"], samples=12).mean(0)).float()
    assert (targets - means).norm(dim=-1).max() > 1e-3
    hook = dict(type="LatentTargetHook", targets="targets.npz")
    config.custom_hooks.append(hook)
    Runner.from_cfg(config).train()
    state = torch.load("again/epoch_2.pth", weights_only=True)
    torch.testing.assert_close(state["latent_targets"]["targets"], targets)
