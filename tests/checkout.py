"""A copy of the checkout, so that nothing is built in the working tree."""

import shutil

from tests import ROOT

PARTS = ("semamb_mm", "configs", "tools", "studies", "benchmarks", "requirements")
FILES = (
    "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in",
    "model-index.yml", "CHANGELOG.md",
)  # fmt: skip


def copy_checkout(target):
    """Fill the folder ``target`` and return it."""
    target.mkdir()
    skip = shutil.ignore_patterns("__pycache__", ".mim")
    for part in PARTS:
        shutil.copytree(ROOT / part, target / part, ignore=skip)
    for name in FILES:
        shutil.copy(ROOT / name, target / name)
    return target
