"""tools/export_onnx.py as a user calls it, and decoding against MMPose's."""

import copy

import numpy as np
import pytest

from semamb_mm.pose.export import decode_dark
from tests.small_detector import GHCU, ghcu_model, write_model  # noqa: F401
from tools import export_onnx

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def tool():
    return export_onnx


@pytest.fixture
def call(tool, tmp_path, capsys):
    def run(model, *options):
        out = tmp_path / "model.onnx"
        tool.main([*model, "--out", str(out), *options])
        return out, capsys.readouterr().out

    return run


@pytest.mark.parametrize("neighbourhood", [0, 0.1])
def test_the_file_gives_what_pytorch_gives_at_any_batch_size(
    call, tmp_path, neighbourhood
):
    changes = copy.deepcopy(GHCU)
    changes["model"]["head"]["refiner"].update(neighbourhood=neighbourhood)
    model = write_model(tmp_path, **changes)
    out, said = call(model)
    assert "largest difference on 3 images" in said
    onnx.checker.check_model(str(out))
    session = onnxruntime.InferenceSession(str(out))
    assert session.get_inputs()[0].shape == ["batch", 3, 64, 64]
    for batch in (1, 5):
        images = np.random.default_rng(0).uniform(0, 255, (batch, 3, 64, 64))
        keypoints, scores, corrected = session.run(
            ["keypoints", "scores", "corrected"], {"images": images.astype(np.float32)}
        )
        assert keypoints.shape == (batch, 68, 2)
        assert scores.shape == corrected.shape == (batch, 68)
        assert corrected.dtype == bool


def test_a_detector_alone_can_be_exported(call, tmp_path):
    out, _ = call(write_model(tmp_path))
    session = onnxruntime.InferenceSession(str(out))
    images = np.zeros((2, 3, 64, 64), np.float32)
    assert not session.run(["corrected"], {"images": images})[0].any()


def test_a_file_that_differs_is_not_written(call, tool, ghcu_model, monkeypatch):  # noqa: F811
    def wrong(heatmaps, blur_kernel_size):
        positions, scores = decode_dark(heatmaps, blur_kernel_size)
        return positions + 0.01, scores

    monkeypatch.setattr("semamb_mm.pose.export.decode_dark", wrong)
    with pytest.raises(SystemExit, match="differs from PyTorch by 0.0.*written"):
        call(ghcu_model)
    out, _ = call(ghcu_model, "--no-check")
    assert [path.name for path in out.parent.iterdir()] == ["model.onnx"]


def test_the_folder_of_the_file_is_made(tool, ghcu_model, tmp_path):  # noqa: F811
    out = tmp_path / "new" / "folder" / "model.onnx"
    tool.main([*ghcu_model, "--out", str(out), "--no-check"])
    assert out.is_file()


def test_no_image_is_no_check(call, ghcu_model, capsys):  # noqa: F811
    with pytest.raises(SystemExit):
        call(ghcu_model, "--num-images", "0")
    assert "--num-images: the check needs one image" in capsys.readouterr().err


@pytest.mark.parametrize("package", ["onnx", "onnxruntime"])
def test_a_missing_package_is_named_before_any_work(
    tool,
    call,
    ghcu_model,  # noqa: F811
    monkeypatch,
    package,
):
    monkeypatch.setattr(tool, "find_spec", lambda name: None if name == package else 1)
    monkeypatch.setattr(tool, "open_config", None)
    with pytest.raises(SystemExit, match=f"pip install {package}"):
        call(ghcu_model)
