"""Every config of OSM/CAA trains and tests on a tiny tree of its own layout."""

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.runner import Runner

import semamb_mm.pretrain  # noqa: F401
from tests import ROOT
from tests.pretrain.datasets.test_omniglot import make_folders
from tests.trees.retrieval import (
    make_cars,
    make_cub,
    make_inshop,
    make_lpw,
    make_market1501,
    make_mars,
    make_sop,
)

CONFIGS = sorted((ROOT / "configs" / "osm_caa").glob("*.py"))
TREES = {
    "cub": lambda root: make_cub(root, classes=6, per_class=4),
    "cars196": make_cars,
    "mars": make_mars,
    "lpw": make_lpw,
    "omniglot": make_folders,
    "sop": make_sop,
    "inshop": make_inshop,
    "market1501": make_market1501,
}
LATER = ("sop", "inshop", "market1501")
NETWORKS = ("inception-v3", "resnet50")
# The data sets of the paper, which have the whole ablation.
ABLATED = ("cub-224x224", "cars196-224x224", "mars-256x128", "lpw-256x128")
ROWS = {
    "contrastive": (False, False),
    "osm": (True, False),
    "caa": (False, True),
    "osm-caa": (True, True),
    "osm-caa-authors": (True, True),
    "osm-caa-val": (True, True),
    "osm-caa-frames": (True, True),
    "osm-caa-classifier": (True, True),
}
AUTHORS = "osm-caa-authors"
# Its checkpoint is chosen on training classes that are held out.
CHOSEN = "osm-caa-val"
# A sample is several frames.
FRAMES = "osm-caa-frames"
# MMPretrain's classifier with this package's head.
CLASSIFIER = "osm-caa-classifier"
# Rows of the ablation differ by their loss: one of them is trained with its own
# network, the others with a tiny one in place of ResNet-50.
OWN_NETWORK = "osm-caa"
TINY_NETWORK = [
    dict(type="ResNet", depth=18, stem_channels=4, base_channels=4),
    dict(type="GlobalAveragePooling"),
]
# Other networks are themselves, but narrow: options of the first part, channels.
NARROW = {
    "vit-base-p16": (
        dict(
            arch=dict(
                embed_dims=24, num_layers=1, num_heads=2, feedforward_channels=48
            ),
            img_size=75,
        ),
        24,
    ),
    "convnext-tiny": (dict(arch=dict(depths=[1] * 4, channels=[8] * 4)), 8),
    "timm-resnet50": (dict(model_name="resnet10t", pretrained=False), 512),
}
# The smallest that InceptionV3 takes is 75 pixels wide.
SMALL = {
    "RandomResizedCrop": dict(scale=75),
    "ResizeEdge": dict(scale=80),
    "CenterCrop": dict(crop_size=75),
    "RandomCrop": dict(crop_size=(90, 75)),
}


@pytest.fixture(scope="module")
def trees(tmp_path_factory):
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in TREES.items()}


def parts(path):
    """Row and data set in a config's name, ``<network>_<row>_<data>-<size>``."""
    _, row, data = path.stem.split("_")
    return row, data.split("-")[0]


CLASSIFIERS = [p for p in CONFIGS if parts(p)[0] == CLASSIFIER]
SWAPPED = [p for p in CONFIGS if "v3" in p.stem and parts(p)[0] != OWN_NETWORK]
TRAINED = [p for p in CONFIGS if p not in CLASSIFIERS + SWAPPED]


def make_narrow(cfg, network, own_network):
    """Take the pretrained weights, which are a download, and the width away."""
    if network.startswith("timm"):
        pytest.importorskip("timm", reason="timm is not installed")
    if network in NARROW:
        options, cfg.model.head.in_channels = NARROW[network]
        cfg.model.image_encoder[0].update(options)
    if own_network:
        for part in cfg.model.image_encoder:
            part.pop("init_cfg", None)
        return
    poolings = cfg.model.image_encoder[2:]  # of tracklets
    for pooling in poolings:
        pooling.in_channels = 32
    cfg.model.image_encoder = [*TINY_NETWORK, *poolings]
    cfg.model.head.in_channels = 32


@pytest.mark.parametrize("path", TRAINED, ids=lambda path: path.stem)
def test_config_trains_and_tests(path, trees, tmp_path, monkeypatch):
    init_default_scope("mmpretrain")
    row, data = parts(path)
    monkeypatch.setenv("DATA_ROOT", trees[data])
    cfg = Config.fromfile(str(path))
    loss = cfg.model.head.loss
    assert (loss.osm, loss.caa) == ROWS[row]
    own_network = row == OWN_NETWORK and data not in LATER
    make_narrow(cfg, path.stem.split("_")[0], own_network or data == "omniglot")
    loaders = (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader)
    for loader in loaders:
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        dataset = loader.dataset.get("dataset", loader.dataset)
        dataset.serialize_data = False
        if data in ("cub", "cars196"):
            loader.dataset.crop = own_network
        for step in dataset.pipeline if data != "omniglot" else ():
            step.update(SMALL.get(step.type, {}))
            if step.type == "Resize":
                step.scale = (75, 90)
    cfg.train_dataloader.sampler.update(
        num_classes_per_batch=2, num_samples_per_class=2
    )
    cfg.train_cfg.update(max_epochs=1, val_interval=2)
    checkpoint = cfg.default_hooks.checkpoint
    # What the others validate are the test classes.
    assert ("save_best" in checkpoint) == (row == CHOSEN)
    if row == CHOSEN:
        splits = [loader.dataset.split for loader in loaders]
        assert splits == ["train_only", "val", "test"]
        checkpoint.pop("save_best")
    checkpoint.update(interval=-1, save_last=False)
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == len(runner.train_dataloader) >= 2
    assert ("score" in str(list(runner.model.state_dict()))) == (row == FRAMES)
    metrics = runner.test()
    score = "reid/CMC-1" if "256x128" in path.stem else "retrieval/Recall@1"
    score = "retrieval/CMC-1" if data == "inshop" else score
    assert 0 <= metrics[score] <= 100


@pytest.mark.parametrize("path", CLASSIFIERS, ids=lambda path: path.stem)
def test_a_stock_classifier_trains_and_tests(path, trees, tmp_path, monkeypatch):
    init_default_scope("mmpretrain")
    monkeypatch.setenv("DATA_ROOT", trees["cub"])
    cfg = Config.fromfile(str(path))
    cfg.model.backbone = TINY_NETWORK[0]
    cfg.model.head.in_channels = 32
    for loader in (cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader):
        loader.update(batch_size=4, num_workers=0, persistent_workers=False)
        for step in loader.dataset.pipeline:
            step.update(dict(crop_size=32) if "Crop" in step.type else {})
            step.update(dict(scale=40) if step.type == "Resize" else {})
    cfg.train_dataloader.batch_sampler.num_samples_per_class = 2
    cfg.train_cfg.update(max_epochs=1, val_interval=2)
    cfg.default_hooks.checkpoint.update(interval=-1, save_last=False)
    cfg.work_dir = str(tmp_path)
    runner = Runner.from_cfg(cfg)
    runner.train()
    assert runner.iter == len(runner.train_dataloader) >= 2
    assert "train/attention_mean" in runner.message_hub.log_scalars
    assert 0 <= runner.test()["accuracy/top1"] <= 100


@pytest.mark.parametrize("path", SWAPPED, ids=lambda path: path.stem)
def test_the_other_network_is_the_only_difference(path):
    twin = path.with_name(path.name.replace("inception-v3", "resnet50"))
    cfg, other = Config.fromfile(str(path)), Config.fromfile(str(twin))
    assert (cfg.model.head.loss.osm, cfg.model.head.loss.caa) == ROWS[parts(path)[0]]
    assert cfg.model.image_encoder[-1].type == "InceptionV3"
    for part in (cfg, other):
        del part.model.image_encoder
        del part.model.head.in_channels, part.model.head.embedding_channels
    assert cfg.to_dict() == other.to_dict()


def test_every_data_set_has_every_row_with_both_networks():
    names = {
        path.stem
        for path in CONFIGS
        if path.stem.startswith(NETWORKS)
        and path.stem.endswith(ABLATED)
        and parts(path)[0] not in (CHOSEN, FRAMES)
    }
    assert names == {
        f"{network}_{row}_{data}"
        for network in NETWORKS
        for row in ROWS
        if row not in (CHOSEN, FRAMES, CLASSIFIER)
        for data in ABLATED
        if network == "resnet50" or row != AUTHORS
    }


@pytest.mark.parametrize("data, sigma", [("mars-256x128", 1.0), ("cub-224x224", None)])
def test_the_authors_recipe_changes_head_and_batches_alone(data, sigma):
    folder = ROOT / "configs/osm_caa"
    theirs = Config.fromfile(folder / f"resnet50_osm-caa-authors_{data}.py")
    paper = Config.fromfile(folder / f"resnet50_osm-caa_{data}.py")
    assert theirs.model.head.loss.get("sigma") == sigma
    assert theirs.model.head.loss.attention == "gaussian"
    assert theirs.train_dataloader.batch_size == 8 * 7
    for config in (theirs, paper):
        del config.model.head
        del config.train_dataloader["batch_size"], config.train_dataloader["sampler"]
        config.pop("authors_head", None), config.pop("authors_batches", None)
    assert theirs.to_dict() == paper.to_dict()
