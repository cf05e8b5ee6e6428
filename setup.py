"""Installs semamb_mm, and what ``mim`` looks for beside its code.

``mim train semamb_mm CONFIG`` reads ``semamb_mm/.mim/{configs,tools,
model-index.yml}``. A wheel gets copies; an editable install gets links in the
checkout. OpenMMLab's own setup files look for 'develop' in ``sys.argv``, which
modern setuptools (``editable_wheel``) never passes; here the commands themselves
do it: ``build_py`` for wheels and modern editable installs, ``develop`` for
setuptools below 64.
"""

import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ("configs", "tools", "model-index.yml")


def read_version() -> str:
    """Return the version without importing the package."""
    namespace: dict = {}
    exec((ROOT / "semamb_mm" / "version.py").read_text(), namespace)
    return namespace["__version__"]


def place(source: Path, target: Path, link: bool) -> None:
    """Copy or link one part; what stood there before is replaced."""
    if target.is_symlink() or target.is_file():
        target.unlink()
    elif target.is_dir():
        shutil.rmtree(target)
    if link:
        try:
            os.symlink(os.path.relpath(source, target.parent), target)
            return
        except OSError:  # file systems without links
            pass
    if source.is_dir():
        skip = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(source, target, ignore=skip)
    else:
        shutil.copy2(source, target)


def place_mim_parts(package: Path, link: bool) -> None:
    """Fill ``package/.mim``."""
    folder = package / ".mim"
    folder.mkdir(parents=True, exist_ok=True)
    for part in MIM_PARTS:
        place(ROOT / part, folder / part, link)


class BuildWithMim(build_py):
    """Adds ``.mim`` to the built package, or to the checkout if editable."""

    def run(self) -> None:
        """Build, then add what mim looks for."""
        super().run()
        editable = getattr(self, "editable_mode", False)
        base = ROOT if editable else Path(self.build_lib)
        place_mim_parts(base / "semamb_mm", link=editable)


class DevelopWithMim(develop):
    """Adds ``.mim`` to the checkout, with setuptools below 64."""

    def run(self) -> None:
        """Build, then add what mim looks for."""
        super().run()
        place_mim_parts(ROOT / "semamb_mm", link=True)


setup(
    name="semamb_mm",
    version=read_version(),
    description="Training on labels that people disagree about, for OpenMMLab",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    packages=find_packages(include=["semamb_mm", "semamb_mm.*"]),
    package_data={"semamb_mm.formats": ["*.txt"]},
    python_requires=">=3.10,<3.13",
    # Kept minimal, so that installing into a working OpenMMLab environment
    # changes nothing there; requirements/ holds the tested set.
    install_requires=["numpy", "torch", "mmengine>=0.10.7"],
    extras_require=dict(
        # mat4py reads the list of AFLW-Full.
        pose=["mmpose>=1.3.2", "mmcv>=2.1.0", "mat4py"],
        pretrain=["mmpretrain>=1.2.0", "mmcv>=2.1.0"],
        # Face300VWVideoDataset; nothing else reads videos.
        video=["av>=17.1.0"],
        onnx=["onnx", "onnxruntime"],
    ),
    cmdclass=dict(build_py=BuildWithMim, develop=DevelopWithMim),
    zip_safe=False,
)
