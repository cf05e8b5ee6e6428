"""What is wrong with an environment, said by a process that imports none of it."""

import re
import subprocess
import sys

import pytest

from semamb_mm import compat, doctor
from tests import ROOT

TESTED = doctor.tested_versions(ROOT / "requirements", (3, 11))


def test_versions_are_those_of_this_python():
    older = doctor.tested_versions(ROOT / "requirements", (3, 10))
    assert TESTED["numpy"] == "2.3.5" and older["numpy"] == "2.2.6"
    assert TESTED["torch"] == older["torch"] == "2.11.0"
    assert set(doctor.CORE) <= set(TESTED) == set(older)


def test_commands_name_the_tested_versions():
    texts = [*compat._INSTALL.values(), *(cure for _, cure in compat._CURES)]
    named = [
        word.split("==") for text in texts for word in text.split() if "==" in word
    ]
    assert len(named) > 5
    for name, version in named:
        assert TESTED[name] == version, name


def test_imports_go_on_after_failures_and_crashes(tmp_path, monkeypatch):
    (tmp_path / "crashes.py").write_text("import os; os._exit(7)")
    (tmp_path / "noisy.py").write_text(
        "print('semamb_mm.nothing'); raise SystemExit(0)"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    names = ["json", "no_such_part.inner", "crashes", "noisy", "ast"]
    failed = doctor.try_imports(names)
    assert list(failed) == names[1:4]
    missing, crash, noisy = failed.values()
    assert (missing["error"], missing["missing"]) == (
        "ModuleNotFoundError",
        "no_such_part",
    )
    assert crash["text"] == "the process ends with code 7"
    assert noisy["error"] == "SystemExit"


def failure(text, error="ModuleNotFoundError", missing=None):
    return dict(error=error, text=text, missing=missing)


def test_a_cause_is_told_once():
    gone = failure("No module named 'torch'", missing="torch")
    failed = dict.fromkeys(("torch", "mmengine", "mmpose.models"), gone)
    failed["semamb_mm.pose"] = failure("semamb_mm.pose needs MMPose 1.x", "ImportError")
    (complaint,) = doctor.check_imports(failed)
    assert complaint.what.startswith("torch cannot be imported: ModuleNotFoundError")
    assert complaint.fix.endswith("pip install torch==2.11.0 torchvision==0.26.0")


@pytest.mark.parametrize(
    "name, text, fix",
    [
        (
            "xtcocotools.mask",
            "numpy.dtype size changed, may indicate binary incompatibility",
            "--no-binary xtcocotools xtcocotools",
        ),
        ("mmengine", "No module named 'pkg_resources'", "'setuptools<81'"),
        (
            "torchvision",
            "operator torchvision::nms does not exist",
            "not of one release: pip install torch==2.11.0",
        ),
        (
            "mmcv.ops",
            "/x/mmcv/_ext.cpython-311-x86_64-linux-gnu.so: undefined symbol: _ZN3c1",
            "compiled against another torch",
        ),
        ("mmdet", "MMCV==2.2.0 is used but incompatible. Please", "mmcv==2.1.0"),
        ("mmpretrain.models", "module 'numpy' has no attribute 'in1d'", "'numpy<2.4'"),
    ],
)
def test_known_failures_have_their_cure(name, text, fix):
    (complaint,) = doctor.check_imports({name: failure(text, "ImportError")})
    assert fix in complaint.fix and text in complaint.what and complaint.needed


@pytest.mark.parametrize(
    "installed, what, needed",
    [
        (dict(mmcv="2.1.0", **{"mmcv-lite": "2.1.0"}), "both installed", True),
        (dict(mmpretrain="1.2.0", numpy="2.4.1"), "no in1d", True),
        (dict(torch="2.14.0+cu130"), "C\\+\\+20", True),
        (
            {"opencv-python": "5.0", "opencv-python-headless": "5.0"},
            "opencv-python and opencv-python-headless share",
            False,
        ),
        (dict(albumentations="2.0.8"), "albumentations 2.0.8", False),
    ],
)
def test_versions_that_do_not_go_together(installed, what, needed):
    (complaint,) = doctor.check_versions(installed, ["pose", "pretrain"])
    assert re.search(what, complaint.what) and complaint.needed == needed


def test_the_tested_versions_go_together():
    assert doctor.check_versions(TESTED, ["pose", "pretrain"]) == []
    table = doctor.version_table(dict(TESTED, torch="2.11.0+cu130", av="16.0"), TESTED)
    assert [line.split()[0] for line in table if line.endswith("*")] == ["av"]


def test_the_image_has_an_interpreter_that_fits():
    text = (ROOT / "docker/Dockerfile").read_text()
    version = re.search(r"BASE=python:(\d+)\.(\d+)-", text).groups()
    assert doctor.check_python(tuple(map(int, version))) == []


@pytest.mark.parametrize("version, fine", [((3, 9), 0), ((3, 12), 1), ((3, 13), 0)])
def test_interpreters(version, fine):
    assert bool(doctor.check_python(version)) != fine


def test_what_compiles_is_looked_for_where_it_is_needed(monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    assert doctor.check_compiler(TESTED) == []
    (complaint,) = doctor.check_compiler({"mmcv": "2.1.0"})
    assert complaint.what == "there is no C++ compiler for xtcocotools"


def card(built_for="13.0", gpus=(), operators="not available"):
    return dict(built_for=built_for, gpus=list(gpus), operators=operators)


@pytest.mark.parametrize(
    "found, smi, line, why",
    [
        (None, None, "not known", None),
        (card(), None, "none is seen", None),
        (card(gpus=["A100"]), "smi", "A100 .*13.0.*operators run on the CPU", None),
        (card(None), "smi", "none is used", "built for the CPU"),
        (card(), "smi", "none is used", "driver may be older"),
    ],
)
def test_graphics_cards(monkeypatch, found, smi, line, why):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    answers = [] if found is None else [found]
    monkeypatch.setattr(doctor, "_answers", lambda *_: (answers, 0))
    monkeypatch.setattr(doctor.shutil, "which", lambda name: smi)
    text, complaints = doctor.look_at_gpus()
    assert re.search(line, text)
    whys = [complaint.what for complaint in complaints if not complaint.needed]
    assert len(whys) == len(complaints) == (why is not None)
    assert why is None or why in whys[0]


@pytest.fixture
def environment(monkeypatch):
    """An environment made up: its versions, and the imports that fail."""

    def look(installed, failed):
        monkeypatch.setattr(doctor, "installed_versions", lambda names: installed)
        monkeypatch.setattr(
            doctor,
            "try_imports",
            lambda names: {n: failed[n] for n in names if n in failed},
        )
        monkeypatch.setattr(doctor, "_answers", lambda *_: ([card()], 0))

    return look


def test_a_sound_environment(environment, capsys):
    environment(TESTED, {})
    assert doctor.main([]) == 0
    text = capsys.readouterr().out
    assert text.endswith("Nothing needed is missing.\n")
    assert "semamb_mm.pretrain: imports\n" in text


def test_only_what_a_half_needs_counts(environment, capsys):
    gone = failure("No module named 'mmpose'", missing="mmpose")
    environment(TESTED, {"mmpose.models": gone, "semamb_mm.pose": gone})
    assert doctor.main(["pretrain"]) == 0
    assert doctor.main(["pose"]) == 1
    text = capsys.readouterr().out
    assert "semamb_mm.pose: not usable (mmpose.models)\n" in text
    assert "fix: Install it: pip install --no-deps mmpose==1.3.2\n" in text


def test_an_optional_part_that_fails_is_no_error(environment, capsys):
    installed = {name: TESTED[name] for name in TESTED if name != "mat4py"}
    environment(installed, dict(av=failure("libavcodec", "ImportError")))
    assert doctor.main([]) == 0
    text = capsys.readouterr().out
    assert "Worth a look:\n1. av cannot be imported (videos" in text
    assert "mat4py: AFLW-Full's list" in text


def test_an_unknown_half(capsys):
    with pytest.raises(SystemExit):
        doctor.main(["poses"])
    assert "no half 'poses': expected pose or pretrain" in capsys.readouterr().err


def test_an_empty_environment_is_survived(tmp_path):
    """Not even numpy: each part is named with its command."""
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True
    )
    done = subprocess.run(
        [tmp_path / "venv/bin/python", "-m", "semamb_mm.doctor"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1 and done.stderr == ""
    for command in ("numpy<2.4", "torch==2.11.0", "mmcv==2.1.0", "mmpose==1.3.2"):
        assert command in done.stdout
    assert "'make install' makes the tested environment" in done.stdout
