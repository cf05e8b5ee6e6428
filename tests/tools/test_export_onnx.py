"""tools/export_onnx.py as a user calls it, and decoding against MMPose's."""

import copy

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.codecs import MSRAHeatmap
from mmpose.registry import MODELS

from semamb_mm.pose.export import DeployedDetector, decode_dark
from tests.pose.conftest import CODEC, tiny_config
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


# MMPose divides by the height of an empty heatmap.
@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
def test_decoding_is_the_codecs():
    generator = torch.Generator().manual_seed(0)
    centers = torch.rand(6, 5, 2, generator=generator) * 34 - 1  # some beyond the rim
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    squares = (x - centers[..., 0, None, None]) ** 2
    squares = squares + (y - centers[..., 1, None, None]) ** 2
    heatmaps = torch.exp(-squares / 4.5) * torch.rand(6, 5, 1, 1, generator=generator)
    heatmaps += 0.01 * torch.rand(heatmaps.shape, generator=generator)
    heatmaps[0, 0] = 0
    codec = MSRAHeatmap(**{k: v for k, v in CODEC.items() if k != "type"})
    positions, scores = decode_dark(heatmaps, CODEC["blur_kernel_size"])
    for face in range(6):
        expected, heights = codec.decode(heatmaps[face].numpy().copy())
        assert np.allclose(positions[face] * 2, expected[0], atol=1e-3)
        assert np.allclose(scores[face], heights[0], atol=1e-6)


def test_a_model_that_looks_twice_is_refused(tmp_path):
    init_default_scope("mmpose")
    model = MODELS.build(
        dict(tiny_config(tmp_path)["model"], type="RollNormalizedEstimator")
    )
    with pytest.raises(TypeError, match="twice and cannot be exported"):
        DeployedDetector(model)


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


def test_another_decoder_is_refused(tmp_path):
    config = tiny_config(tmp_path, **GHCU)
    config.model.head.decoder.unbiased = False
    with pytest.raises(TypeError, match="unbiased=True"):
        DeployedDetector(MODELS.build(config.model))
