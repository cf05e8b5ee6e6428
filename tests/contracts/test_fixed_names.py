"""What users' configs, scripts and checkpoints name, and so may only grow.

``fixed_names.json`` was written before the package was divided into rooms.
"""

import inspect
import json
from pathlib import Path

import pytest

import semamb_mm.functional as functional
import semamb_mm.pose  # noqa: F401
import semamb_mm.pretrain  # noqa: F401
from tests import ROOT

FIXED = json.loads(Path(__file__).with_name("fixed_names.json").read_text())
CONFIGS = ROOT / "configs"


def registered(package):
    """Registry to the names of this package's classes in it."""
    registries = __import__(f"{package}.registry", fromlist=["registry"])
    names = {}
    for name, registry in vars(registries).items():
        modules = getattr(registry, "_module_dict", None)
        if modules is not None:
            found = [n for n, c in modules.items() if c.__module__[:9] == "semamb_mm"]
            names[name] = sorted(found)
    return {name: found for name, found in names.items() if found}


@pytest.mark.parametrize("package", ["mmpose", "mmpretrain"])
def test_registered_names(package):
    """Every name still stands in its registry."""
    found = registered(package)
    for registry, names in FIXED["registered"][package].items():
        assert set(names) <= set(found.get(registry, ())), registry


def test_functions_of_the_mathematics():
    """Every function takes what it took, under the same names and defaults."""
    assert set(FIXED["functional"]) <= set(functional.__all__)
    for name, parameters in FIXED["functional"].items():
        now = inspect.signature(getattr(functional, name)).parameters
        for parameter, (kind, default) in parameters.items():
            assert str(now[parameter].kind) == kind, (name, parameter)
            assert repr(now[parameter].default) == default, (name, parameter)
        added = [now[p] for p in now if p not in parameters]
        assert all(p.default is not p.empty for p in added), name


def test_config_files():
    """Every config is where it was."""
    for path in FIXED["configs"]:
        assert (CONFIGS / path).is_file(), path


def checkpoint_keys():
    """State of each module that is trained."""
    from mmengine.registry import init_default_scope
    from mmpose.registry import MODELS
    from mmpretrain.registry import MODELS as RETRIEVERS

    from tests.pose.conftest import tiny_config

    codec = dict(
        type="MSRAHeatmap", input_size=(32, 32), heatmap_size=(16, 16), sigma=1.5
    )
    head = dict(type="SemanticAlignmentHead", in_channels=8, out_channels=5)
    refined = dict(head, decoder=codec, refiner=dict(type="GHCU"), num_stages=2)
    convolved = dict(
        head,
        decoder=codec,
        num_stages=1,
        conv_out_channels=(8,),
        conv_kernel_sizes=(3,),
    )
    slim = dict(
        tiny_config("").model.backbone, stage_channels=(16, 16, 16), feat_channel=16
    )
    osm_caa = dict(
        type="OSMCAAHead",
        num_classes=3,
        in_channels=4,
        embedding_channels=2,
        loss=dict(type="OSMCAALoss"),
    )
    init_default_scope("mmpose")
    modules = dict(
        head_with_refiner=MODELS.build(refined),
        head_with_convolutions=MODELS.build(convolved),
        backbone=MODELS.build(slim),
    )
    init_default_scope("mmpretrain")
    modules["osm_caa_head"] = RETRIEVERS.build(osm_caa)
    keys = {
        name: {key: list(value.shape) for key, value in module.state_dict().items()}
        for name, module in modules.items()
    }
    return keys


def test_checkpoint_keys():
    """Checkpoints of before still load.

    Those of the store load by their version, see ``test_store``.
    """
    expected = dict(FIXED["checkpoint_keys"])
    expected.pop("latent_targets")
    assert checkpoint_keys() == expected
