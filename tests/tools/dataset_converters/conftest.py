"""Calls the converters, and reads what they wrote by MMPose's own data sets."""

import importlib
import sys

import pytest
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

import semamb_mm.pose  # noqa: F401
from semamb_mm.formats import aflw_list
from tests.trees.faces import AFLW_TRAIN


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    init_default_scope("mmpose")
    monkeypatch.setattr(aflw_list, "NUM_TRAIN", AFLW_TRAIN)


@pytest.fixture
def convert(monkeypatch):
    """``convert(tool, *arguments)`` as from the command line."""

    def run(name, *arguments, workers=1):
        module = importlib.import_module(f"tools.dataset_converters.{name}")
        command = [name, *map(str, arguments), "--workers", str(workers)]
        monkeypatch.setattr(sys, "argv", command)
        module.main()

    return run


@pytest.fixture
def load():
    """``load(kind, root, ann_file)`` builds one of MMPose's data sets."""

    def build(kind, root, ann_file, prefix="", pipeline=(), **arguments):
        return DATASETS.build(
            dict(
                type=kind,
                data_root=str(root),
                ann_file=f"annotations/{ann_file}",
                data_prefix=dict(img=prefix),
                pipeline=list(pipeline),
                **arguments,
            )
        )

    return build


@pytest.fixture
def written():
    """``written(root)`` gives the names of the json files."""
    return lambda root: sorted(p.name for p in (root / "annotations").glob("*"))
