"""Every ``Example:`` of a docstring runs and prints what it says."""

import ast
import doctest
import importlib

import pytest
import torch

from tests import ROOT

FOLDERS = ("semamb_mm", "tools", "studies", "benchmarks")


def docstrings(path):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, kinds):
            yield ast.get_docstring(node) or ""


def modules_with_examples():
    """Names of the modules; only these are imported, as some need more packages."""
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if any(">>>" in text for text in docstrings(path)):
                parts = path.relative_to(ROOT).with_suffix("").parts
                yield ".".join(parts).removesuffix(".__init__")


MODULES = list(modules_with_examples())


def test_the_mathematics_has_examples():
    assert any(name.startswith("semamb_mm.functional.") for name in MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_examples_run(name):
    torch.manual_seed(0)
    module = importlib.import_module(name)
    results = doctest.testmod(module, optionflags=doctest.ELLIPSIS)
    assert results.attempted > 0 and results.failed == 0


def test_every_example_can_run():
    """``Example:`` sections hold commands, so that the test above runs them.

    Or lines for a config, which ``test_reference`` runs.
    """
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for text in docstrings(path):
                lines = [line.strip() for line in text.splitlines()]
                for start in ("Example:", "Examples:"):
                    if start in lines:
                        after = lines[lines.index(start) + 1 :]
                        starts = (">>>", "```python")
                        assert any(line.startswith(starts) for line in after), path
