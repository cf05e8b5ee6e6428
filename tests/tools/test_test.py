"""tools/test.py as a user calls it."""

import json

import pytest

from tests.small_detector import ghcu_model  # noqa: F401
from tools import test as tool

from .conftest import FACES
from .processes import run


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        tool.main(["--help"])
    assert ended.value.code == 0 and "config" in capsys.readouterr().out


def test_metrics_of_a_trained_detector(trained_faces, tmp_path):
    out = tmp_path / "new" / "metrics.json"
    tested = run(
        "tools/test.py", trained_faces.config, trained_faces.checkpoint,
        "--work-dir", tmp_path, "--out", out, "--cfg-options", *trained_faces.options,
    )  # fmt: skip
    assert tested.returncode == 0, tested.stderr[-2000:]
    assert json.loads(out.read_text())["NME/inter_ocular"] > 0
    assert [path.name for path in out.parent.iterdir()] == ["metrics.json"]


def test_missing_checkpoint_is_named():
    message = "checkpoint file no/such.pth does not exist"
    with pytest.raises(SystemExit, match=message):
        tool.main([str(FACES), "no/such.pth"])


@pytest.mark.parametrize(
    "flags, message",
    [
        (["--out", "metrics.txt"], "expected a .json or .yaml file"),
        (["--dump", "found.json"], "expected a .pkl file"),
        (["--badcase"], "needs MMPose's BadCaseAnalysisHook"),
    ],
)
def test_flags_that_cannot_be_followed(ghcu_model, flags, message):  # noqa: F811
    with pytest.raises(SystemExit, match=message):
        tool.main([*ghcu_model, *flags])
