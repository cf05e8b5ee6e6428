"""What a wheel, a source archive and the install script hold and do."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from requirements import precompile_header
from tests import ROOT
from tests.checkout import copy_checkout


@pytest.fixture
def checkout(tmp_path):
    return copy_checkout(tmp_path / "checkout")


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
        "semamb_mm/.mim/requirements/1-torch.txt",
        "semamb_mm/.mim/configs/semantic_alignment/metafile.yml",
        "semamb_mm/pose/heads/semantic_alignment_head.py",
        *(f"semamb_mm/audit/review_page.{kind}" for kind in ("html", "css", "js")),
    ):
        assert name in names
    assert not [n for n in names if n.startswith("tests/") or "__pycache__" in n]
    # The project's own experiments and timings are not a user's.
    assert not [n for n in names if "studies" in n or "benchmarks" in n]


def test_source_archive_holds_the_pages(checkout):
    shutil.copytree(ROOT / "docs", checkout / "docs")
    for name in ("CONTRIBUTING.md", "CITATION.cff"):
        shutil.copy(ROOT / name, checkout / name)
    code = "from setuptools import build_meta; build_meta.build_sdist('dist')"
    subprocess.run(
        [sys.executable, "-c", code], check=True, cwd=checkout, capture_output=True
    )
    (archive,) = (checkout / "dist").glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    pages = {p.relative_to(ROOT).as_posix() for p in (ROOT / "docs").glob("*.*")}
    others = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "CITATION.cff"}
    page = {f"semamb_mm/audit/review_page.{kind}" for kind in ("html", "css", "js")}
    install = {f"requirements/{p.name}" for p in ROOT.glob("requirements/*.*")}
    assert pages | others | page | install <= names


def fake_python(folder, body=":"):
    """A Python whose venv holds a copy of itself and whose pip notes its calls.

    ``body`` is shell that runs first and may exit; ``$*`` are the arguments.
    """
    path = folder / "fake-python"
    lines = [
        "#!/bin/sh",
        body,
        'case "$*" in',
        '"-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python;;',
        '"-m pip"*) echo "$*" >> pip-calls;;',
        "*version_info*) echo 3.11;;",
        "esac",
    ]
    path.write_text("\n".join(lines) + "\n")
    path.chmod(0o755)
    return str(path)


@pytest.fixture
def install(checkout):
    """Runs the install script in the copy."""

    def run(python, **environment):
        return subprocess.run(
            ["bash", "requirements/install.sh"],
            cwd=checkout,
            env=dict(os.environ, PYTHON=python, **environment),
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def pip_calls(checkout):
    calls = checkout / "pip-calls"
    lines = calls.read_text().splitlines() if calls.exists() else []
    calls.unlink(missing_ok=True)
    return lines


def test_missing_interpreter_is_named(install):
    done = install("python-that-is-not-there")
    assert done.returncode == 1
    assert "no 'python-that-is-not-there'" in done.stderr and "fix:" in done.stderr


def test_unsupported_interpreter_is_named(install, tmp_path):
    done = install(
        fake_python(
            tmp_path,
            'case "$1 $2" in --version*) echo Python 3.8.1; exit;; '
            '*"(3, 10)"*) exit 1;; esac',
        )
    )
    assert done.returncode == 1
    assert "Python 3.8.1 is not supported" in done.stderr


def test_missing_compiler_is_named_before_anything_is_downloaded(
    install, checkout, tmp_path
):
    done = install(fake_python(tmp_path), CXX="no-such-compiler")
    assert done.returncode == 1
    assert "no C++ compiler" in done.stderr and "apt-get install g++" in done.stderr
    assert pip_calls(checkout) == [] and not (checkout / ".venv").exists()


def test_failed_step_says_which_why_and_what_to_do(install, tmp_path):
    """A venv whose pip finds no package, as without a network."""
    python = fake_python(
        tmp_path,
        'case "$*" in "-m pip"*) echo requires chumpy >&2; '
        "echo ERROR: no matching distribution >&2; exit 1;; esac",
    )
    done = install(python)
    assert done.returncode == 1
    assert "step 2, PyTorch" in done.stderr
    assert "no matching distribution" in done.stderr and "chumpy" not in done.stderr
    assert "check the network" in done.stderr
    again = install(python)
    assert "[1/10]" not in again.stdout and "[2/10]" in again.stdout


def test_second_install_does_nothing_until_requirements_change(
    install, checkout, tmp_path
):
    python = fake_python(tmp_path)
    first = install(python)
    assert first.returncode == 0, first.stderr
    assert re.search(r"\[10/10\] .* done in \d+ s \(\d+ s of CPU\)", first.stdout)
    assert len(pip_calls(checkout)) == 8
    again = install(python)
    assert "source .venv/bin/activate" in first.stdout
    assert again.returncode == 0 and again.stdout == ""
    assert pip_calls(checkout) == []
    with open(checkout / "requirements" / "4-mmcv.txt", "a") as file:
        file.write("# changed\n")
    changed = install(python)
    assert changed.stdout.startswith("[5/10]") and len(pip_calls(checkout)) == 5


def test_mmcv_of_another_torch_is_compiled_anew(install, checkout, tmp_path):
    done = install(
        fake_python(
            tmp_path,
            'case "$*" in *"-c import mmcv.ops") '
            "grep -q -e --force-reinstall pip-calls; exit;; esac",
        )
    )
    assert done.returncode == 0, done.stderr
    (rebuilt,) = [c for c in pip_calls(checkout) if "--force-reinstall" in c]
    assert "--no-binary mmcv" in rebuilt and "--no-cache-dir" in rebuilt


def test_another_interpreter_does_not_spoil_the_environment(
    install, checkout, tmp_path
):
    assert install(fake_python(tmp_path)).returncode == 0
    pip_calls(checkout)
    (tmp_path / "other").mkdir()
    other = fake_python(
        tmp_path / "other", 'case "$*" in *%d.%d*) echo 3.12; exit;; esac'
    )
    done = install(other)
    assert done.returncode == 1 and ".venv has Python 3.11" in done.stderr
    assert "make clean" in done.stderr and pip_calls(checkout) == []
    assert install("").returncode == 0  # without PYTHON, .venv stays


# No wheel of mmcv is offered; pip's compiling calls note what they are given.
COMPILES = """case "$*" in *"--only-binary mmcv"*) exit 1;;
"-m pip"*) echo "$MAX_JOBS:$CPPFLAGS" >> given;; esac"""


def test_mmcv_alone_is_compiled_without_debug_information(install, checkout, tmp_path):
    done = install(fake_python(tmp_path, COMPILES), CPPFLAGS="-DMINE", MAX_JOBS="3")
    assert done.returncode == 0, done.stderr
    given = (checkout / "given").read_text().split("\n")
    (mmcv,) = [line for line in given if "-g0" in line]
    flags, _, header = mmcv.partition(" -include ")
    assert flags == "3:-DMINE -g0" and given.count("3:-DMINE") == 7
    assert not Path(header).parent.exists()  # the compiled header is large


def test_mmcv_compiles_although_its_header_does_not(install, checkout, tmp_path):
    body = 'case "$*" in requirements/precompile*) exit 1;; esac\n' + COMPILES
    done = install(fake_python(tmp_path, body))
    assert done.returncode == 0, done.stderr
    given = (checkout / "given").read_text()
    assert "-g0" in given and "-include" not in given


def test_compilers_of_mmcv_fit_into_memory(install, checkout, tmp_path):
    nproc = tmp_path / "nproc"
    nproc.write_text("#!/bin/sh\necho 1000000\n")
    nproc.chmod(0o755)
    done = install(
        fake_python(tmp_path, COMPILES), PATH=f"{tmp_path}:{os.environ['PATH']}"
    )
    assert done.returncode == 0, done.stderr
    (mmcv,) = [g for g in (checkout / "given").read_text().split("\n") if "-g0" in g]
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 1 <= int(mmcv.partition(":")[0]) <= memory / 1e9


def test_compiled_header_is_what_the_compiler_takes(tmp_path, monkeypatch):
    said = subprocess.run(["c++", "--version"], capture_output=True, text=True)
    if "Free Software Foundation" not in said.stdout:
        pytest.skip("c++ is not GCC here")
    monkeypatch.delenv("CFLAGS", raising=False)
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("CPPFLAGS", "-g0")
    header = tmp_path / "types.h"
    header.write_text("#include <cstddef>\n")
    command = precompile_header.compile_command(header, [])
    subprocess.run(command, check=True)
    kept = [flag for flag in command if flag.startswith(("-O", "-g"))]
    own = sysconfig.get_config_var("CFLAGS").split()
    assert kept == [*(f for f in own if f.startswith(("-O", "-g"))), "-g0"]
    # As torch compiles a file, with those options of mmcv's that matter.
    (tmp_path / "file.cpp").write_text("std::size_t one() { return 1; }\n")
    compiler = precompile_header.new_compiler()
    precompile_header.customize_compiler(compiler)
    done = subprocess.run(
        ["c++", *compiler.compiler_so[1:], "-include", str(header), "-H", "-c",
         "file.cpp", "-std=c++17", "-DTORCH_API_INCLUDE_EXTENSION_H",
         "-DTORCH_EXTENSION_NAME=_ext"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert f"! {header}.gch" in done.stderr
