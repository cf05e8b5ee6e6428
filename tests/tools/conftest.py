"""Trained checkpoints that several tools' tests share."""

from pathlib import Path
from typing import NamedTuple

import pytest
from mmengine.config import Config

from tests import ROOT
from tests.trees.coco_style import write_stock_data

FACES = ROOT / "configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"
CHARACTERS = ROOT / "configs/osm_caa/slim-resnet_osm-caa_omniglot-28x28.py"
LABEL_NOISE = "train_dataloader.dataset.label_noise=0.25"
NO_WORKERS = [
    f"{split}_dataloader.{option}"
    for split in ("train", "val", "test")
    for option in ("num_workers=0", "persistent_workers=False")
]


# Three lines of a user's, and what makes it small.
STOCK = """
_base_ = 'mmpose::body_2d_keypoint/topdown_heatmap/coco/{}.py'
model = dict(
    backbone=dict(depth=18, stem_channels=8, base_channels=4, init_cfg=None),
    head=dict(in_channels=32, deconv_out_channels=(8, 8, 8)))
train_cfg = dict(max_epochs=1)
train_dataloader = dict(
    batch_size=10, num_workers=0, persistent_workers=False,
    dataset=dict(serialize_data=False))
val_dataloader = train_dataloader
""".format("td-hm_res50_8xb64-210e_coco-256x192")
BODIES = 20


class Trained(NamedTuple):
    """What a tool takes: config, checkpoint, the run's folder and its --cfg-options."""

    config: str
    checkpoint: Path
    folder: Path
    options: list


@pytest.fixture(scope="session")
def trained_faces(tmp_path_factory):
    """Two epochs of semantic alignment on four procedural faces."""
    from tools import train

    folder = tmp_path_factory.mktemp("trained_faces")
    options = [
        *NO_WORKERS,
        "train_dataloader.dataset.num_samples=4",
        "train_dataloader.batch_size=2",
        "val_dataloader.dataset.num_samples=2",
        "test_dataloader.dataset.num_samples=2",
        "train_cfg.max_epochs=2",
        "custom_hooks.1.start=1",
    ]
    train.main([str(FACES), "--work-dir", str(folder), "--cfg-options", *options])
    return Trained(str(FACES), folder / "epoch_2.pth", folder, options)


@pytest.fixture(scope="session")
def stock_bodies(tmp_path_factory):
    """A plain detector of MMPose's after an epoch, in the folder of its user."""
    from tools import train

    folder = tmp_path_factory.mktemp("stock_bodies")
    config = folder / "mine.py"
    config.write_text(STOCK)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_stock_data(folder, Config.fromfile(config), 17, BODIES)
        train.main(["mine.py", "--work-dir", "plain", "--no-validate"])
    return Trained("mine.py", folder / "plain/epoch_1.pth", folder, [])


@pytest.fixture(scope="session")
def characters(tmp_path_factory):
    """A folder of invented characters."""
    from tools import draw_characters

    folder = tmp_path_factory.mktemp("data") / "characters"
    draw_characters.main([str(folder), "--characters", "2"])
    return folder


@pytest.fixture(scope="session")
def trained_characters(characters, tmp_path_factory):
    """An epoch of OSM/CAA on characters with wrong labels among them."""
    pytest.importorskip(
        "pytorch_metric_learning", reason="pytorch-metric-learning is not installed"
    )
    from tools import train

    folder = tmp_path_factory.mktemp("trained_characters")
    options = [
        "train_dataloader.batch_size=16",
        "train_dataloader.sampler.num_classes_per_batch=4",
        "train_cfg.max_epochs=1",
        "train_cfg.val_interval=1",
        *NO_WORKERS,
        LABEL_NOISE,
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DATA_ROOT", str(characters))
        train.main(
            [str(CHARACTERS), "--work-dir", str(folder), "--cfg-options", *options]
        )
    return Trained(str(CHARACTERS), folder / "epoch_1.pth", folder, options)
