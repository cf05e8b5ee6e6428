import numpy as np
import pytest
import torch
from mmpose.registry import KEYPOINT_CODECS, MODELS

from semamb_mm.functional import search_latent_targets
from semamb_mm.pose.heads.codecs import codec_sigma, gaussian_heatmaps
from tests.pose.heads.test_semantic_alignment_head import build

SIZES = dict(input_size=(96, 128), heatmap_size=(48, 64))
COMBINED = dict(type="UDPHeatmap", heatmap_type="combined", **SIZES)
MEGVII = dict(type="MegviiHeatmap", kernel_size=7, **SIZES)
GAUSSIANS = [
    dict(type="MSRAHeatmap", sigma=2, unbiased=True, **SIZES),
    dict(type="UDPHeatmap", sigma=2, **SIZES),
]


def encoded(codec, truth):
    """What a perfect network predicts: (1, C, H, W)."""
    maps = codec.encode(truth[None].astype(np.float32), np.ones((1, len(truth))))
    return torch.from_numpy(maps["heatmaps"])[None]


def truths(num=40):
    return np.random.default_rng(0).uniform(20, 76, (num, 2))


def ideal(codec, truth):
    """Gaussians of height 1 about the truth."""
    cells = truth / codec.scale_factor
    y, x = np.mgrid[:64, :48]
    squares = (x - cells[:, 0, None, None]) ** 2 + (y - cells[:, 1, None, None]) ** 2
    return torch.from_numpy(np.exp(-squares / (2 * np.mean(codec_sigma(codec)) ** 2)))


@pytest.mark.parametrize("config", [*GAUSSIANS, COMBINED])
def test_observers_see_gaussians_of_the_grids_sigma(config):
    codec, truth = KEYPOINT_CODECS.build(config), truths()
    found = gaussian_heatmaps(codec, encoded(codec, truth))[0]
    # Cut off at three sigmas, where a Gaussian is 0.011.
    assert (found - ideal(codec, truth)).abs().max() < 0.012


def test_megviis_cell_is_half_a_cell_before_the_landmark_on_average():
    codec, truth = KEYPOINT_CODECS.build(MEGVII), truths(200)
    raw = encoded(codec, truth)
    found = gaussian_heatmaps(codec, raw)[0]
    y, x = torch.meshgrid(torch.arange(64.0), torch.arange(48.0), indexing="ij")
    cells = torch.from_numpy(truth / codec.scale_factor)

    def offset(maps):
        mass = maps.sum((-1, -2))
        centre = torch.stack([(maps * g).sum((-1, -2)) / mass for g in (x, y)], -1)
        return (centre - cells).mean(0)

    assert offset(raw[0]).tolist() == pytest.approx([-0.5, -0.5], abs=0.05)
    assert offset(found).tolist() == pytest.approx([0, 0], abs=0.05)
    # Its spread is the grid's: of a landmark in the middle of cell (23, 31).
    centred = gaussian_heatmaps(codec, encoded(codec, np.array([[47.0, 63.0]])))[0, 0]
    variance = ((x - 23.5) ** 2 * centred).sum() / centred.sum()
    assert variance == pytest.approx(codec_sigma(codec) ** 2, rel=0.05)


@pytest.mark.parametrize("config", [*GAUSSIANS, COMBINED, MEGVII])
def test_the_search_finds_the_landmark_in_a_perfect_heatmap(config):
    codec, truth = KEYPOINT_CODECS.build(config), truths(200)
    heatmaps = gaussian_heatmaps(codec, encoded(codec, truth)).float()
    cells = torch.from_numpy(truth / codec.scale_factor).float()[None]
    annotated = cells + torch.randn(cells.shape, generator=torch.manual_seed(0)) * 1.5
    found, _ = search_latent_targets(
        heatmaps,
        annotated,
        sigma=float(codec_sigma(codec)),
        patch_radius=2,
        sigma_prior=100.0,
        sigma_likelihood=0.3,
        subcell="parabola",
    )
    error = (found - cells).norm(dim=-1).mean()
    # Megvii's codec knows the cell only: a point of a cell is 0.38 from its centre.
    assert error < (0.42 if config is MEGVII else 0.1)


@pytest.mark.parametrize("config", [COMBINED, MEGVII])
def test_a_refiner_sees_the_same_gaussians(config):
    channels = 15 if config is COMBINED else 5
    head = build(
        num_stages=None,
        deconv_out_channels=None,
        out_channels=channels,
        decoder=config,
        refiner=dict(type="GHCU", mode="replace"),
    ).eval()
    assert head.num_landmarks == 5
    codec = head.decoder
    outputs = encoded(codec, truths(5)).float()
    (prediction,) = head.decode(outputs)
    with torch.no_grad():
        refined = head.refiner(gaussian_heatmaps(codec, outputs))[0]
    assert np.allclose(
        prediction.keypoints[0], refined.numpy() * codec.scale_factor, atol=1e-4
    )


@pytest.mark.parametrize(
    ("codec", "why"),
    [
        (
            dict(type="SimCCLabel", input_size=(192, 256)),
            "makes a distribution.*SemanticAlignmentRTMCCHead",
        ),
        (dict(type="RegressionLabel", input_size=(192, 256)), "stands for coordinates"),
        (dict(type="AssociativeEmbedding", **SIZES), "all instances of an image"),
        (dict(type="SPR", **SIZES), "all instances of an image"),
        (dict(type="DecoupledHeatmap", **SIZES), "all instances of an image"),
    ],
)
def test_codecs_without_a_heatmap_a_landmark_are_refused(codec, why):
    for head in ("SemanticAlignmentHead", "SemanticAlignmentHeatmapHead"):
        name = codec["type"]
        with pytest.raises(ValueError, match=f"{head}: .*type='{name}'.* {why}"):
            MODELS.build(dict(type=head, in_channels=8, out_channels=17, decoder=codec))
    with pytest.raises(ValueError, match="codecs that work are MSRAHeatmap, UDPH"):
        build(decoder=codec)


def test_a_codec_of_ones_own_says_what_the_search_needs():
    class Own:
        scale_factor, heatmap_size = np.array([2.0, 2.0]), (48, 64)

    KEYPOINT_CODECS.register_module("OwnCodec", module=Own)
    try:
        with pytest.raises(ValueError, match="type='Own'\\) has no sigma"):
            build(decoder=dict(type="OwnCodec"))
        Own.sigma = 3.0
        head = build(decoder=dict(type="OwnCodec"))
        assert head.search_grid.sigma == (3.0, 3.0)
    finally:
        KEYPOINT_CODECS.module_dict.pop("OwnCodec")
