"""``mim`` itself, in environments into which the package was installed each way.

They see the packages of the running environment, and no network: what is missing
could not be installed.
"""

import json
import os
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from semamb_mm import __version__
from tests import ROOT
from tests.checkout import copy_checkout

NAME = "slim-hourglass_sa_synthetic-96x96"
PLAIN = "slim-hourglass_plain_synthetic-96x96"
SMALL = [
    "train_dataloader.batch_size=2", "train_cfg.max_epochs=1",
    *(f"{split}_dataloader.{option}" for split in ("train", "val", "test") for option in
      ("dataset.num_samples=2", "num_workers=0", "persistent_workers=False")),
]  # fmt: skip
# Appended to docs/install.md's config.
SHORT = """
train_dataloader = dict(
    batch_size=2, num_workers=0, persistent_workers=False, dataset=dict(num_samples=2))
train_cfg = dict(max_epochs=1)
val_cfg = val_dataloader = val_evaluator = None
default_hooks = dict(checkpoint=dict(save_best=None))
custom_hooks = [dict(_base_.latent_target_hook, start=0)]
"""


class Environment:
    """A virtual environment and a folder that is neither it nor the checkout."""

    def __init__(self, folder):
        self.folder = folder
        # pip leaves alone what lies outside of the environment.
        stack = folder / "stack"
        stack.mkdir()
        for path in Path(sysconfig.get_path("purelib")).iterdir():
            if "semamb_mm" not in path.name:
                (stack / path.name).symlink_to(path)
        venv.create(folder / "env", symlinks=True)
        self.python = folder / "env" / "bin" / "python"
        self.site = Path(
            sysconfig.get_path("purelib", vars=dict(base=str(folder / "env")))
        )
        (self.site / "stack.pth").write_text(str(stack))
        self.away = folder / "away"
        self.away.mkdir()

    def run(self, *command, cwd=None, check=True):
        """Run ``python -m COMMAND`` and return what it printed, errors last."""
        hidden = ("PYTHONPATH", "PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL")
        kept = {name: v for name, v in os.environ.items() if name not in hidden}
        done = subprocess.run(
            [self.python, "-m", *map(str, command)],
            cwd=cwd or self.away,
            env=dict(kept, OMP_NUM_THREADS="1", PIP_NO_INDEX="1", PIP_CONFIG_FILE="/"),
            capture_output=True,
            text=True,
        )
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="session")
def checkout(tmp_path_factory):
    return copy_checkout(tmp_path_factory.mktemp("mim") / "checkout")


@pytest.fixture(scope="session")
def wheel(checkout, tmp_path_factory):
    """The wheel, built once."""
    folder = tmp_path_factory.mktemp("wheel")
    command = ["wheel", "--no-deps", "--no-build-isolation", "--no-index", "."]
    subprocess.run(
        [sys.executable, "-m", "pip", *command, "-w", folder],
        cwd=checkout, check=True, capture_output=True,
    )  # fmt: skip
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="session")
def editable(checkout, tmp_path_factory):
    """As requirements/install.sh does for 'make install'."""
    environment = Environment(tmp_path_factory.mktemp("editable"))
    options = ["--no-deps", "--no-build-isolation"]
    environment.run("pip", "install", *options, "-e", ".", cwd=checkout)
    return environment


@pytest.fixture(scope="session")
def installed(checkout, tmp_path_factory):
    """``mim install .``, with the build tools at hand instead of downloaded ones."""
    environment = Environment(tmp_path_factory.mktemp("installed"))
    environment.run("mim", "install", "--no-build-isolation", ".", cwd=checkout)
    return environment


def lists_and_finds(environment):
    assert f"semamb-mm   {__version__}" in environment.run("mim", "list")
    found = environment.run("mim", "search", "semamb_mm", "--config", NAME)
    return f"config id: {NAME}" in found


def test_mim_lists_searches_and_runs_an_editable_package(editable, checkout):
    assert lists_and_finds(editable)
    said = editable.run(
        "mim", "run", "semamb_mm", "draw_characters", "drawn", "--characters", "1"
    )
    assert f"script {checkout / 'semamb_mm/.mim/tools/draw_characters.py'}" in said
    assert "drawings of" in said and any((editable.away / "drawn").iterdir())


def test_mim_trains_an_editable_package(editable):
    """By the config's name; the file that is edited is the one that is read."""
    said = editable.run(
        "mim", "train", "semamb_mm", f"{NAME}.py", "--gpus", "0", "--work-dir", "work",
        "--no-validate", "--cfg-options", *SMALL,
    )  # fmt: skip
    assert f"checkout/configs/semantic_alignment/{NAME}.py instead" in said
    assert "Training finished successfully" in said


def test_mim_has_no_weights_to_download(editable):
    """docs/install.md says what mim prints then."""
    said = editable.run(
        "mim", "download", "semamb_mm", "--config", NAME, "--dest", ".", check=False
    )
    assert "Expected fields" in said and "but got {'weight'}" in said


def test_an_editable_package_is_uninstalled(editable, checkout):
    """Last, as it takes the environment apart; the checkout stays."""
    editable.run("pip", "uninstall", "--yes", "semamb_mm")
    assert [path.name for path in editable.site.iterdir()] == ["stack.pth"]
    assert (checkout / "semamb_mm" / "__init__.py").is_file()


def test_stock_mmpose_trains_a_config_that_inherits_ours(installed):
    """MMPose's own tools/train.py, from a folder that is not the checkout; our test."""
    assert lists_and_finds(installed)
    page = (ROOT / "docs" / "install.md").read_text()
    example = re.search(r"<!-- tested -->\n```python\n(.*?)```", page, re.S)[1]
    (installed.away / "my_config.py").write_text(example + SHORT)
    said = installed.run(
        "mim", "train", "mmpose", "my_config.py", "--gpus", "0", "--work-dir", "stock"
    )
    assert "mmpose/.mim/tools/train.py" in said
    assert "Training finished successfully" in said
    saved = (installed.away / "stock" / "my_config.py").read_text()
    assert "consensus=dict(" in saved and "semamb_mm.pose" in saved
    said = installed.run(
        "mim", "test", "semamb_mm", f"{PLAIN}.py", "--gpus", "0",
        "--checkpoint", "stock/epoch_1.pth", "--cfg-options", *SMALL,
    )  # fmt: skip
    assert "NME/inter_ocular" in said and "Testing finished successfully" in said


def test_mim_lists_a_wheel(wheel, tmp_path):
    environment = Environment(tmp_path)
    environment.run("pip", "install", wheel)
    assert f"semamb-mm   {__version__}" in environment.run("mim", "list")


def metadata(site, name, version, *requires):
    """Pretend that a package is installed."""
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir()
    lines = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {other}" for other in requires]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")


def test_nothing_else_changes_in_a_users_environment(wheel, tmp_path):
    """An older MMEngine, and OpenCV without a window, which MMEngine does not name."""
    environment = Environment(tmp_path)
    (environment.site / "stack.pth").unlink()
    for package in (
        ("numpy", "1.26.4"),
        ("torch", "2.1.0", "sympy"),
        ("mmengine", "0.8.0", "opencv-python>=3", "addict"),
        ("opencv-python-headless", "4.8.0.76", "numpy"),
    ):
        metadata(environment.site, *package)
    report = tmp_path / "report.json"
    command = [
        "-m", "pip", "--python", environment.python, "install", "--dry-run",
        "--no-index", "--report", report, wheel,
    ]  # fmt: skip
    subprocess.run([sys.executable, *command], check=True, capture_output=True)
    plan = json.loads(report.read_text())["install"]
    assert [item["metadata"]["name"] for item in plan] == ["semamb_mm"]
    extras = plan[0]["metadata"]["provides_extra"]
    assert set(extras) == {"aflw", "video", "onnx", "tensorboard", "timm"}
