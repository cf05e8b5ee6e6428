"""A user's folder: a config of a few lines on a stock one, and the data it names."""

import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import mmpose
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.apis.inference import dataset_meta_from_config
from mmpose.models import build_pose_estimator

from semamb_mm.pose.latent_targets.saved import SavedTargets
from tests import ROOT
from tests.trees.coco_style import annotations_of, write_stock_data
from tools.analysis import inspect_targets

HEAD = "SemanticAlignmentHead"
TRAIN = Path(mmpose.__file__).parent / ".mim/tools/train.py"
PAGE = (ROOT / "docs/own_config.md").read_text(encoding="utf-8")
CONFIG = re.search(r"<!-- tested -->\n```python\n(.*?)```", PAGE, re.S).group(1)
# What the page says has been tried.
TRIED = re.findall(r"^\| [^|]+ \| `mmpose::([a-z0-9_]+_keypoint/.*)` \|$", PAGE, re.M)
# Nothing is downloaded; two iterations without workers; small checkpoints.
OPTIONS = (
    "model.backbone.init_cfg=None",
    "default_hooks.checkpoint.save_optimizer=False",
    "train_cfg.max_epochs=1",
    "train_cfg.val_begin=9",
    "train_dataloader.batch_size=2",
    *(
        f"{part}_dataloader.{option}"
        for part in ("train", "val")
        for option in ("num_workers=0", "persistent_workers=False")
    ),
)


def write_user_folder(folder: Path, stock: str, head: str = HEAD) -> Path:
    """Write config and data; return the config's path."""
    path = folder / "mine.py"
    text = re.sub("'mmpose::.*?'", f"'mmpose::{stock}'", CONFIG, count=1)
    text = text.replace(f"'{HEAD}'", f"'{head}'")
    path.write_text(text.replace("start=140", "start=0"))
    config = Config.fromfile(path)
    init_default_scope("mmpose")
    meta = dataset_meta_from_config(config, dataset_mode="train")
    write_stock_data(folder, config, meta["num_keypoints"])
    return path


def command(*options: str) -> list:
    """The script and what a user types after it."""
    first = [TRAIN, "mine.py", "--work-dir", "work"]
    return [*first, "--cfg-options", *OPTIONS, *options]


def train_here(folder: Path, *options: str) -> None:
    """Run MMPose's own train.py in this process, in the folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(sys, "argv", list(map(str, command(*options))))
        patch.syspath_prepend(TRAIN.parent)
        importlib.import_module(TRAIN.stem).main()


def train_as_a_user(folder: Path, *options: str) -> None:
    """Run MMPose's own train.py in a process of its own, without consensus."""
    done = subprocess.run(
        [sys.executable, *command("custom_hooks.1.consensus=None", *options)],
        cwd=folder,
        env=dict(os.environ, PATH=os.defpath, OMP_NUM_THREADS="1"),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]


def check_targets(folder: Path, consensus: bool) -> None:
    """Look at the run's checkpoint: all was searched, and the search found something.

    Consensus of four samples leaves targets where they are; what was found moves.
    """
    state = torch.load(folder / "work/epoch_1.pth", weights_only=True)
    saved = SavedTargets.from_state(state["latent_targets"])
    points = saved.found if consensus else saved.targets
    marks = [a["keypoints"] for a in annotations_of(points.shape[1], 4)["annotations"]]
    x, y, shown = torch.tensor(marks).unflatten(1, (-1, 3)).unbind(-1)
    assert torch.isfinite(saved.targets).all()
    moved = (points != torch.stack((x, y), dim=-1)).any(-1)
    assert not moved[shown == 0].any()
    assert moved[shown > 0].float().mean() > 0.5


def check_stock_checkpoint_loads(folder: Path) -> None:
    """Load a published model's weights: all of them, and the optimizer's order."""
    path = folder / "mine.py"
    config = Config.fromfile(path)
    base = re.search("'mmpose::(.*?)'", path.read_text())[1]
    stock = Config.fromfile(TRAIN.parents[1] / "configs" / base).model
    models = []
    for options in (stock, config.model):
        options.backbone.init_cfg = None
        models.append(build_pose_estimator(options))
    published, mine = models
    mine.load_state_dict(published.state_dict(), strict=True)
    assert list(mine.state_dict()) == list(published.state_dict())


def check_inspection(folder: Path) -> None:
    """See the targets with the tool that looks into a run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        inspect_targets.main(
            ["mine.py", "work/epoch_1.pth", "--out-dir", "targets", "--num-faces", "2"]
        )
    assert len((folder / "targets/moves.csv").read_text().splitlines()) > 4


def try_stock(
    folder: Path, stock: str, train=train_here, head: str = HEAD, options=()
) -> None:
    """Go the whole way: train, load what is published, inspect."""
    assert stock in TRIED
    path = write_user_folder(folder, stock, head)
    assert len(path.read_text().splitlines()) <= 15
    train(folder, *options)
    check_targets(folder, consensus=train is train_here)
    check_stock_checkpoint_loads(folder)
    check_inspection(folder)
