"""Is everything here that this package needs? ``python -m semamb_mm.doctor`` says so.

It prints the version of each part beside the tested one, tries the imports that the
two halves begin with, says what PyTorch makes of a graphics card, and what to do about
what is wrong. Nothing but the standard library is imported into this process: imports
are tried in another one, which may crash. The exit code is 1 if something needed is
missing or does not work.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from .compat import how_to_install, release, remedy
from .shipped import shipped_folder
from .version import __version__

PYTHONS = (3, 10), (3, 12)
_BASE = ("numpy", "torch", "torchvision", "cv2", "pkg_resources", "mmengine", "mmcv")
# What each half imports, in this order: a part stands before those that need it.
IMPORTS = dict(
    pose=(
        *_BASE,
        "mmcv.ops",
        "mmdet",
        "xtcocotools.mask",
        "mmpose.models",
        "mmpose.datasets",
        "mmpose.evaluation",
        "semamb_mm.pose",
    ),
    pretrain=(
        *_BASE,
        "mmpretrain.models",
        "mmpretrain.datasets",
        "mmpretrain.evaluation",
        "semamb_mm.pretrain",
    ),
)
# Distribution: module, and what it is for. Neither half needs them.
OPTIONAL = dict(
    av=("av", "videos, as Face300VWVideoDataset reads them"),
    mat4py=("mat4py", "AFLW-Full's list"),
    onnx=("onnx", "tools/export_onnx.py"),
    onnxruntime=("onnxruntime", "tools/export_onnx.py"),
    albumentations=("albumentations", "MMPose's RTMPose configs"),
    tensorboard=("tensorboard", "this package's configs, for their curves"),
    openmim=("mim", "mim's commands"),
)
# What a user looks for first; the other libraries are listed where they differ.
CORE = (
    "torch",
    "torchvision",
    "numpy",
    "setuptools",
    "opencv-python-headless",
    "mmengine",
    "mmcv",
    "mmdet",
    "mmpose",
    "mmpretrain",
    "xtcocotools",
)
# Before each line with an answer of another process; modules may print, too.
_MARK = "semamb_mm.doctor: "
_PIN = re.compile(
    r'([\w.-]+)==([^\s;]+)\s*(?:;\s*python_version\s*(>=|<)\s*"([\d.]+)")?\s*$'
)
_TRY_IMPORTS = """
import importlib, json, sys
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        found = dict(name=name)
    except BaseException as error:
        found = dict(name=name, error=type(error).__name__, text=str(error),
                     missing=getattr(error, "name", None))
    print()
    print(MARK + json.dumps(found), flush=True)
"""
_LOOK_AT_GPUS = """
import json, torch
gpus = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
try:
    from mmcv.ops import get_compiling_cuda_version
    operators = get_compiling_cuda_version()
except Exception:
    operators = None
print()
print(MARK + json.dumps(dict(
    built_for=torch.version.cuda or torch.version.hip, gpus=gpus, operators=operators)))
"""


@dataclass(frozen=True)
class Complaint:
    """What is wrong, and what to do.

    Attributes:
        what: The trouble, in a sentence without a full stop.
        fix: What to do, likewise.
        needed: Whether a half does not work for it.
    """

    what: str
    fix: str
    needed: bool = True


def tested_versions(folder: Path, python: tuple[int, int]) -> dict[str, str]:
    """Return the tested version of each distribution.

    Args:
        folder: Of pip's requirements.
        python: Its version: some pins are for some of them.
    """
    pins = {}
    for path in sorted(folder.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            pin = _PIN.match(line)
            if pin is None:
                continue
            name, version, relation, limit = pin.groups()
            newer = relation is None or python >= release(limit)
            if relation is None or newer == (relation == ">="):
                pins[name] = version
    return pins


def installed_versions(names: Sequence[str]) -> dict[str, str]:
    """Return the versions of those distributions that are installed."""
    found = {}
    for name in names:
        try:
            # A half-removed package may have no version.
            found[name] = metadata.version(name) or "unknown"
        except metadata.PackageNotFoundError:
            continue
    return found


def check_python(version: tuple[int, int]) -> list[Complaint]:
    """Return what is wrong with the interpreter."""
    if PYTHONS[0] <= version <= PYTHONS[1]:
        return []
    (first, last) = (".".join(map(str, limit)) for limit in PYTHONS)
    return [
        Complaint(
            f"Python {version[0]}.{version[1]} is not one of {first} to {last}",
            f"make an environment of one of them: PYTHON=python{last} make install",
        )
    ]


def check_versions(installed: dict[str, str], halves: Sequence[str]) -> list[Complaint]:
    """Return what is known not to work together, by versions alone."""
    complaints = []
    has = {name: release(version) for name, version in installed.items()}

    def complain(condition: bool, what: str, fix: str, needed: bool = True) -> None:
        if condition:
            complaints.append(Complaint(what, fix, needed))

    complain(
        "mmcv" in has and "mmcv-lite" in has,
        "mmcv and mmcv-lite are both installed, in one folder",
        f"pip uninstall mmcv mmcv-lite, then {how_to_install('mmcv')}",
    )
    complain(
        "pretrain" in halves and "mmpretrain" in has and has.get("numpy", ()) >= (2, 4),
        f"numpy {installed.get('numpy')} has no in1d, which MMPretrain 1.2.0 calls",
        how_to_install("numpy"),
    )
    complain(
        "mmcv" not in has and has.get("torch", ()) >= (2, 14),
        f"mmcv 2.1.0 does not compile against torch {installed.get('torch')}, which "
        "needs C++20",
        how_to_install("torch"),
    )
    cv2 = sorted(name for name in has if name.startswith("opencv-"))
    complain(
        len(cv2) > 1,
        f"{' and '.join(cv2)} share one folder; which one is imported is chance",
        f"pip uninstall {' '.join(cv2)}, then {how_to_install('cv2')}",
        needed=False,
    )
    complain(
        has.get("albumentations", ()) >= (2,),
        f"MMPose's RTMPose configs fail on albumentations "
        f"{installed.get('albumentations')}",
        "pip install albumentations==1.3.1",
        needed=False,
    )
    return complaints


def check_compiler(installed: dict[str, str]) -> list[Complaint]:
    """Return what is missing for what has to be compiled yet."""
    wanting = [name for name in ("mmcv", "xtcocotools") if name not in installed]
    complaints = []
    if wanting and shutil.which(os.environ.get("CXX", "c++")) is None:
        complaints.append(
            Complaint(
                f"there is no C++ compiler for {' and '.join(wanting)}",
                "on Debian or Ubuntu: apt-get install g++",
            )
        )
    if wanting and not Path(sysconfig.get_path("include"), "Python.h").exists():
        complaints.append(
            Complaint(
                f"there is no Python.h for {' and '.join(wanting)}",
                "on Debian or Ubuntu: apt-get install python3-dev",
            )
        )
    return complaints


def _answers(code: str, *arguments: str) -> tuple[list[dict], int]:
    """Return what another process answers, and its exit code."""
    code = f"MARK = {_MARK!r}{code}"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        check=False,
    )
    lines = done.stdout.splitlines()
    answers = [line[len(_MARK) :] for line in lines if line.startswith(_MARK)]
    return list(map(json.loads, answers)), done.returncode


def try_imports(names: Sequence[str]) -> dict[str, dict]:
    """Import modules one after the other in another process.

    Returns:
        For each that fails: ``error``, ``text`` and ``missing``, a module's name or
        None. A crash is an error as well; the imports go on after it.
    """
    failed = {}
    left = list(names)
    while left:
        answers, code = _answers(_TRY_IMPORTS, *left)
        for answer in answers:
            left.remove(answer["name"])
            if "error" in answer:
                failed[answer["name"]] = answer
        if left:
            text = f"the process ends with code {code}"
            failed[left.pop(0)] = dict(error="crash", text=text, missing=None)
    return failed


def check_imports(
    failed: dict[str, dict], needed: bool = True, purpose: str = ""
) -> list[Complaint]:
    """Return one complaint for each cause why imports fail.

    Args:
        failed: Of :func:`try_imports`.
        needed: Whether a half needs them.
        purpose: What they are for.
    """
    complaints = []
    causes = set()
    for name, failure in failed.items():
        missing = failure["missing"]
        if failure["error"] == "ModuleNotFoundError":
            error = ModuleNotFoundError(failure["text"])
        else:
            error = ImportError(failure["text"])
        fix = remedy(error, missing or name)
        # What fails for want of a part that fails itself is that part's fault.
        if failure["text"] in causes or fix in {other.fix for other in complaints}:
            continue
        if name.startswith("semamb_mm.") and complaints:
            continue
        causes.add(failure["text"])
        text = failure["text"].strip().splitlines() or [failure["error"]]
        what = f"{name} cannot be imported{purpose}: {failure['error']}: {text[-1]}"
        complaints.append(Complaint(what, fix, needed))
    return complaints


def check_optional(installed: dict[str, str]) -> tuple[list[Complaint], list[str]]:
    """Return what is wrong with optional parts, and lines on those that are missing."""
    here = {part[0]: part[1] for name, part in OPTIONAL.items() if name in installed}
    complaints = []
    failed = try_imports(list(here))
    for module, failure in failed.items():
        purpose = f" ({here[module]})"
        complaints += check_imports({module: failure}, needed=False, purpose=purpose)
    missing = [
        f"{name}: {purpose}"
        for name, (_, purpose) in OPTIONAL.items()
        if name not in installed
    ]
    return complaints, missing


def look_at_gpus() -> tuple[str, list[Complaint]]:
    """Return a line on graphics cards, and what keeps PyTorch from using one."""
    answers, _ = _answers(_LOOK_AT_GPUS)
    if not answers:
        return "not known, torch cannot be imported", []
    (found,) = answers
    if found["gpus"]:
        line = f"{', '.join(found['gpus'])} (torch is built for {found['built_for']})"
        if found["operators"] in (None, "not available"):
            # What this package trains needs none of them.
            line += "; mmcv's own operators run on the CPU only"
        return line, []
    if shutil.which("nvidia-smi") is None:
        return "none is seen; everything runs on the CPU", []
    if found["built_for"] is None:
        why = "this torch is built for the CPU"
        fix = f"pip uninstall torch torchvision, then {how_to_install('torch')}"
    elif os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        why = "CUDA_VISIBLE_DEVICES hides it"
        fix = "unset CUDA_VISIBLE_DEVICES"
    else:
        why = f"the driver may be older than this torch's CUDA {found['built_for']}"
        fix = (
            "compare with what nvidia-smi prints at the top; take a newer driver, or a "
            "torch that is built for an older CUDA"
        )
    return "none is used", [Complaint(f"torch sees no GPU: {why}", fix, needed=False)]


def version_table(installed: dict[str, str], tested: dict[str, str]) -> list[str]:
    """Return the lines of the table of versions."""
    names = [name for name in CORE if name in tested or name in installed]
    others = [name for name in tested if name not in names]
    missing = [name for name in others if name not in installed]
    odd = [
        name
        for name in others
        if name in installed and not _same(installed[name], tested[name])
    ]
    lines = [f"{'part':24}{'installed':14}tested"]
    for name in [*names, *odd]:
        have, want = installed.get(name, "-"), tested.get(name, "-")
        mark = "" if _same(have, want) else "   *"
        lines.append(f"{name:24}{have:14}{want}{mark}")
    same = len(others) - len(missing) - len(odd)
    lines.append(f"of {len(others)} other libraries {same} are as tested")
    if missing:
        lines.append(f"not installed: {', '.join(missing)}")
    return lines


def _same(installed: str, tested: str) -> bool:
    """Whether two versions differ in their build alone (``2.11.0+cu130``)."""
    return installed.partition("+")[0] == tested


def report(halves: Sequence[str]) -> int:
    """Check this environment and print what was found.

    Args:
        halves: ``'pose'``, ``'pretrain'`` or both.

    Returns:
        1 if one of these halves does not work, else 0.
    """
    python = sys.version_info[:2]
    print(f"semamb_mm {__version__} in {Path(__file__).resolve().parent}")
    print(
        f"Python {platform.python_version()}, {sys.executable}, {platform.platform()}"
    )
    tested = tested_versions(shipped_folder("requirements"), python)
    extra = ("mmcv-lite", "opencv-python", "opencv-contrib-python")
    installed = installed_versions([*tested, *extra])
    print()
    print("\n".join(version_table(installed, tested)))
    complaints = check_python(python) + check_versions(installed, halves)
    complaints += check_compiler(installed)
    modules = dict.fromkeys(name for half in halves for name in IMPORTS[half])
    failed = try_imports(list(modules))
    complaints += check_imports(failed)
    print()
    for half in halves:
        broken = [name for name in IMPORTS[half] if name in failed]
        print(
            f"semamb_mm.{half}: {f'not usable ({broken[0]})' if broken else 'imports'}"
        )
    optional, missing = check_optional(installed)
    gpus, of_gpus = look_at_gpus()
    print(f"GPU: {gpus}")
    if missing:
        print("Neither half needs what is not installed here: " + "; ".join(missing))
    return _conclude([*complaints, *optional, *of_gpus])


def _conclude(complaints: list[Complaint]) -> int:
    """Print what is to be done, what is needed first, and return the exit code."""
    for title, needed in (("To mend", True), ("Worth a look", False)):
        chosen = [one for one in complaints if one.needed == needed]
        if chosen:
            print(f"\n{title}:")
        for number, one in enumerate(chosen, start=1):
            print(f"{number}. {one.what}.\n   fix: {one.fix}")
    bad = any(one.needed for one in complaints)
    if bad:
        print(
            "\n'make install' makes the tested environment; docs/install.md has more."
        )
    else:
        print("\nNothing needed is missing.")
    return int(bad)


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line and report."""
    parser = argparse.ArgumentParser(prog="semamb_mm.doctor", description=__doc__)
    parser.add_argument(
        "halves",
        nargs="*",
        metavar="HALF",
        help=f"{' or '.join(IMPORTS)}; both without one",
    )
    halves = parser.parse_args(arguments).halves or list(IMPORTS)
    unknown = sorted(set(halves) - set(IMPORTS))
    if unknown:
        parser.error(f"no half {unknown[0]!r}: expected {' or '.join(IMPORTS)}")
    return report(halves)


if __name__ == "__main__":
    sys.exit(main())
