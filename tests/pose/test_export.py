import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.codecs import MSRAHeatmap
from mmpose.registry import MODELS

from semamb_mm.pose.export import DeployedDetector, decode_dark
from tests.pose.conftest import CODEC, tiny_config
from tests.small_detector import (  # noqa: F401
    GHCU,
    both_heads,
    ghcu_model,
)


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


def test_another_decoder_is_refused(tmp_path):
    config = tiny_config(tmp_path, **GHCU)
    config.model.head.decoder.unbiased = False
    with pytest.raises(TypeError, match="unbiased=True"):
        DeployedDetector(MODELS.build(config.model))


def test_heads_of_one_tensor_and_of_a_list_are_exported_alike(ghcu_model):  # noqa: F811
    _, cpm, heatmap = both_heads(ghcu_model)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 255
    with torch.no_grad():
        expected = DeployedDetector(cpm)(images)
        found = DeployedDetector(heatmap)(images)
    assert found[0].shape == (3, 68, 2) and found[2].any()
    for one, other in zip(found, expected):
        assert torch.equal(one, other)
