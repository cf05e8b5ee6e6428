"""Configs that inherit this package's, from any folder."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

import semamb_mm
from semamb_mm import shipped
from tests import ROOT


def test_a_config_elsewhere_inherits_by_stock_mmengine(tmp_path):
    """docs/install.md's: a whole one and a fragment; no scope is stamped on them."""
    page = (ROOT / "docs" / "install.md").read_text()
    path = tmp_path / "mine.py"
    path.write_text(re.search(r"<!-- tested -->\n```python\n(.*?)```", page, re.S)[1])
    config = Config.fromfile(str(path))
    assert config.default_scope == "mmpose"
    hook = config.custom_hooks[-1]
    assert hook.type == "LatentTargetHook" and hook.start == 4
    assert hook.consensus.sliding == [config.contour]
    assert "_scope_" not in config.latent_target_hook and "_scope_" not in config.model


def test_every_config_is_found():
    for path in (ROOT / "configs").glob("*/*.py"):
        name = path.relative_to(ROOT / "configs").as_posix()
        assert Path(semamb_mm.config(name)).samefile(path)


def test_a_config_that_is_not_there():
    with pytest.raises(FileNotFoundError, match="did you mean _base_/alignment_68.py"):
        semamb_mm.config("alignment_68.py")


@pytest.mark.parametrize("where", ["semamb_mm/.mim/configs", "configs"])
def test_of_an_installed_package_and_of_a_checkout(tmp_path, monkeypatch, where):
    shutil.copytree(ROOT / "configs" / "_base_", tmp_path / where / "_base_")
    monkeypatch.setattr(shipped, "_PACKAGE", tmp_path / "semamb_mm")
    found = semamb_mm.config("_base_/alignment_68.py")
    assert found == str(tmp_path / where / "_base_/alignment_68.py")


def test_the_rooms_of_numpy_alone_need_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "import semamb_mm.faces.landmarks, semamb_mm.formats.pts"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
