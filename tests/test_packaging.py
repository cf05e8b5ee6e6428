"""Where ``mim`` looks, after a wheel and after an editable install."""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PARTS = ("semamb_mm", "configs", "tools")
FILES = ("setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")


@pytest.fixture
def checkout(tmp_path):
    """A copy, so that nothing is built in the working tree."""
    target = tmp_path / "checkout"
    target.mkdir()
    skip = shutil.ignore_patterns("__pycache__", ".mim")
    for part in PARTS:
        shutil.copytree(ROOT / part, target / part, ignore=skip)
    for name in (*FILES, "model-index.yml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, target / name)
    return target


def pip(*arguments, cwd):
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, cwd=cwd, capture_output=True)


def test_wheel_holds_configs_tools_and_model_index(checkout, tmp_path):
    pip("wheel", "--no-deps", "--no-build-isolation", "-w", str(tmp_path), ".",
        cwd=checkout)  # fmt: skip
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    for name in (
        "semamb_mm/.mim/model-index.yml",
        "semamb_mm/.mim/tools/train.py",
        "semamb_mm/.mim/tools/test.py",
        "semamb_mm/.mim/configs/_base_/default_runtime.py",
        "semamb_mm/.mim/configs/semantic_alignment/metafile.yml",
        "semamb_mm/pose/heads/semantic_alignment_head.py",
    ):
        assert name in names
    assert not [n for n in names if n.startswith("tests/") or "__pycache__" in n]


def test_editable_install_links_them(checkout, tmp_path):
    prefix = tmp_path / "site"
    options = ["--no-deps", "--no-build-isolation", "--ignore-installed"]
    pip("install", *options, "--prefix", str(prefix), "-e", ".", cwd=checkout)
    folder = checkout / "semamb_mm" / ".mim"
    assert sorted(os.listdir(folder)) == ["configs", "model-index.yml", "tools"]
    assert (folder / "tools" / "train.py").samefile(checkout / "tools" / "train.py")
    assert (folder / "configs").resolve() == (checkout / "configs").resolve()


def run_install(checkout, **environment):
    shutil.copytree(ROOT / "requirements", checkout / "requirements")
    env = dict(os.environ, **environment)
    return subprocess.run(
        ["bash", "requirements/install.sh"],
        cwd=checkout, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


def fake_python(folder, body):
    path = folder / "fake-python"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return str(path)


def test_missing_interpreter_is_named(checkout):
    done = run_install(checkout, PYTHON="python-that-is-not-there")
    assert done.returncode == 1
    assert "no 'python-that-is-not-there'" in done.stderr and "mend:" in done.stderr


def test_unsupported_interpreter_is_named(checkout, tmp_path):
    python = fake_python(
        tmp_path, 'case "$1" in --version) echo Python 3.8.1;; *) exit 1;; esac'
    )
    done = run_install(checkout, PYTHON=python)
    assert done.returncode == 1
    assert "Python 3.8.1 is not supported" in done.stderr


def test_failed_step_says_which_why_and_what_to_do(checkout, tmp_path):
    """A venv whose pip finds no package, as without a network."""
    python = fake_python(
        tmp_path,
        'case "$2" in venv) mkdir -p .venv/bin; cp "$0" .venv/bin/python;; '
        "pip) echo ERROR: no matching distribution >&2; exit 1;; esac",
    )
    done = run_install(checkout, PYTHON=python)
    assert done.returncode == 1
    assert "step 2, PyTorch" in done.stderr
    assert "no matching distribution" in done.stderr
    assert "check the network" in done.stderr
