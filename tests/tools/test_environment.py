"""What a tool says to somebody whose shell found another Python."""

import ast

import pytest

from tests import ROOT

from .processes import run

TOOLS = sorted(
    path.relative_to(ROOT).as_posix()
    for pattern in ("tools/*.py", "tools/*/*.py")
    for path in ROOT.glob(pattern)
)
# Reads json files and nothing else.
ALONE = "tools/analysis/benchmark_table.py"


@pytest.mark.parametrize("tool", TOOLS)
def test_a_python_without_the_package_is_told_what_to_do(tool):
    """-I and -S: no folder but the standard library's."""
    done = run("-I", "-S", tool, "-h")
    if tool == ALONE:
        assert done.returncode == 0
        return
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "No module named 'semamb_mm'" in done.stderr
    assert "source .venv/bin/activate" in done.stderr


def test_every_tool_looks_before_it_imports_anything_else():
    for tool in set(TOOLS) - {ALONE}:
        body = ast.parse((ROOT / tool).read_text()).body
        assert isinstance(body[1], ast.Try), tool
