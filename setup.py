"""Installs semamb_mm, and what ``mim`` looks for beside its code.

``mim train semamb_mm CONFIG`` reads ``semamb_mm/.mim/{configs,tools,
model-index.yml}``, and ``semamb_mm.doctor`` reads ``requirements`` there. A wheel gets
copies; an editable install gets links in the checkout. OpenMMLab's own setup files
look for 'develop' in ``sys.argv``, which modern setuptools (``editable_wheel``) never
passes; here the commands themselves do it: ``build_py`` for wheels and modern editable
installs, ``develop`` for setuptools below 64.

mim and MMEngine look for an installed package in the folder that holds its
``.dist-info``. A modern editable install puts that into site-packages and leaves the
package in the checkout, so they look in vain. They join that folder and the first line
of ``top_level.txt``, and an absolute path wins such a join: an editable install says
there where the package is. That line is for them alone; Python does not read it.
"""

import os
import shutil
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop

try:
    from setuptools.command.editable_wheel import editable_wheel
except ImportError:  # setuptools below 64, whose develop links the checkout
    editable_wheel = develop

ROOT = Path(__file__).resolve().parent
MIM_PARTS = ("configs", "tools", "model-index.yml", "requirements")


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


class EditableWithMim(editable_wheel):
    """Tells mim and MMEngine that the package stands in the checkout."""

    def _ensure_dist_info(self) -> None:
        super()._ensure_dist_info()
        names = Path(self.dist_info_dir) / "top_level.txt"
        names.write_text(f"{ROOT / 'semamb_mm'}\nsemamb_mm\n", encoding="utf-8")


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
    package_data={
        "semamb_mm.audit": ["*.html", "*.css", "*.js"],
        "semamb_mm.formats": ["*.txt"],
    },
    python_requires=">=3.10,<3.13",
    # Nothing that pip would change in a working OpenMMLab environment. MMEngine is not
    # here because it requires opencv-python, which pip would put beside (and over)
    # opencv-python-headless; torch is not, as in mmcv. requirements/ holds the tested
    # set. What is missing is named when it is imported.
    install_requires=["numpy"],
    # Neither are MMPose (it requires chumpy, which does not build) and mmcv.
    extras_require=dict(
        # The list of AFLW-Full.
        aflw=["mat4py"],
        # Face300VWVideoDataset; nothing else reads videos.
        video=["av>=17.1.0"],
        onnx=["onnx", "onnxruntime"],
        # This package's configs write their curves for it.
        tensorboard=["tensorboard"],
        # The example config of a network from timm.
        timm=["timm"],
    ),
    # No home of the code is known yet.
    project_urls={
        "Paper: semantic alignment": "https://arxiv.org/abs/1903.10661",
        "Paper: OSM and CAA": "https://arxiv.org/abs/1811.01459",
    },
    cmdclass=dict(
        build_py=BuildWithMim, develop=DevelopWithMim, editable_wheel=EditableWithMim
    ),
    zip_safe=False,
)
