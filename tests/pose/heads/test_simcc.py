"""Heads of one distribution per axis against the stock ones."""

import copy
import functools
import math

import numpy as np
import pytest
import torch
from mmpose.models.losses import KLDiscretLoss
from mmpose.registry import KEYPOINT_CODECS, MODELS

from semamb_mm.functional import search_latent_targets, search_separable_targets
from semamb_mm.pose.heads.simcc import ideal_profile
from tests.pose.augmented import attach_moved_store, make_dataset

# More bins in a sigma along x than along y, as where the input is not square.
CODEC = dict(
    type="SimCCLabel",
    input_size=(96, 64),
    sigma=(4.9, 3.46),
    simcc_split_ratio=2.0,
    normalize=False,
)
GAU = dict(
    hidden_dims=32, s=16, expansion_factor=2, dropout_rate=0.0, drop_path=0.0,
    act_fn="SiLU", use_rel_bias=False, pos_enc=False,
)  # fmt: skip
RTMPOSE_LOSS = dict(
    type="KLDiscretLoss", use_target_weight=True, beta=10.0, label_softmax=True
)
COMMON = dict(out_channels=68, input_size=(96, 64), in_featuremap_size=(6, 4))
HEADS = dict(
    RTMCCHead=dict(COMMON, in_channels=16, gau_cfg=GAU, loss=RTMPOSE_LOSS),
    SimCCHead=dict(COMMON, in_channels=16, deconv_out_channels=None),
    RTMWHead=dict(COMMON, in_channels=16, gau_cfg=GAU, loss=RTMPOSE_LOSS),
)


def build(name, prefix="", **changes):
    torch.manual_seed(0)
    config = dict(HEADS[name], type=prefix + name, decoder=CODEC, **changes)
    return MODELS.build(copy.deepcopy(config))


def features(name, num=2):
    draw = torch.Generator().manual_seed(1)
    coarse = torch.rand(num, 16, 4, 6, generator=draw)
    fine = torch.rand(num, 8, 8, 12, generator=draw)
    return (fine, coarse) if name == "RTMWHead" else (coarse,)


@functools.cache
def samples():
    dataset = make_dataset(codec=CODEC, num_samples=2)
    attach_moved_store(dataset)
    return [dataset[i]["data_samples"] for i in range(2)]


@pytest.mark.parametrize("name", HEADS)
def test_it_is_the_stock_head(name):
    """Keys, loss and predictions; a stock checkpoint loads whole."""
    theirs, ours = build(name), build(name, "SemanticAlignment")
    missing, unexpected = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not missing and not unexpected
    feats = features(name)
    expected, losses = theirs.loss(feats, samples()), ours.loss(feats, samples())
    assert expected.keys() == losses.keys()
    assert torch.equal(expected["loss_kpt"], losses["loss_kpt"])
    theirs.eval(), ours.eval()
    for a, b in zip(theirs.predict(feats, samples()), ours.predict(feats, samples())):
        assert np.array_equal(a.keypoints, b.keypoints)
        assert np.array_equal(a.keypoint_scores, b.keypoint_scores)


@pytest.mark.parametrize("name", ["RTMCCHead", "SimCCHead"])
def test_an_observer_sees_both_distributions(name):
    head = build(name, "SemanticAlignment")
    seen = []
    with head.register_heatmap_observer(seen.append):
        head.loss(features(name), samples())
    ((x, y),) = seen
    assert x.shape == (2, 68, 192) and y.shape == (2, 68, 128)
    head.loss(features(name), samples())
    assert len(seen) == 1
    grid = head.search_grid
    assert grid.separable and grid.scale_factor == (0.5, 0.5)
    assert grid.sigma == (4.9, 3.46)


@pytest.mark.parametrize("normalize", [False, True])
@pytest.mark.parametrize("label_softmax", [False, True])
@pytest.mark.parametrize("beta", [1.0, 10.0])
def test_a_perfect_prediction_is_the_ideal_gaussian(normalize, label_softmax, beta):
    """Where the loss of the codec's own label is least, to the last digit."""
    codec = KEYPOINT_CODECS.build(dict(CODEC, normalize=normalize))
    loss = KLDiscretLoss(beta=beta, label_softmax=label_softmax)
    labels = codec.encode(np.array([[[40.0, 30.0]]]))
    for axis, (name, middle) in enumerate((("x", 80), ("y", 60))):
        label = torch.from_numpy(labels[f"keypoint_{name}_labels"]).double()
        wanted = torch.softmax(label * loss.label_beta, -1) if label_softmax else label
        wanted = wanted / wanted.sum()
        logits = ((wanted + 1e-30).log() + 3.7) / beta  # a softmax ignores shifts
        sigma = CODEC["sigma"][axis]
        ideal = ideal_profile(logits.float(), sigma, loss, normalize)
        distance = torch.arange(label.shape[-1]) - middle
        expected = torch.exp(-distance.square() / (2 * sigma**2))
        assert (ideal[0, 0] - expected).abs().max() < 1e-4


def test_what_the_docstring_says_of_other_predictions():
    """Flat ones are constant; near the border a perfect one is a little higher."""
    rtmpose = KLDiscretLoss(beta=10.0, label_softmax=True)
    simcc = KLDiscretLoss()
    flat = torch.zeros(512)
    assert ideal_profile(flat, 5.66, rtmpose).unique().item() == pytest.approx(
        0.53, abs=2e-3
    )
    assert ideal_profile(flat, 6.0, simcc).unique().item() == pytest.approx(
        0.03, abs=1e-3
    )
    halved = torch.exp(-(torch.arange(512.0) ** 2) / (2 * 5.66**2))
    peak = ideal_profile(halved, 5.66, rtmpose)[0].item()
    assert 1.04 < peak < 1 + math.log(2) / 10
    peak = ideal_profile((halved + 1e-9).log(), 5.66, simcc)[0].item()
    assert 1.7 < peak < 2


@pytest.mark.parametrize("name", ["RTMCCHead", "SimCCHead"])
def test_searching_the_distributions_is_searching_their_outer_product(name):
    head = build(name, "SemanticAlignment")
    with torch.no_grad():
        x, y = head.to_ideal(head.forward(features(name)))
    draw = torch.Generator().manual_seed(3)
    observed = torch.rand(2, 68, 2, generator=draw) * torch.tensor([192.0, 128.0])
    options = dict(
        search_radius=6, patch_radius=2, sigma=4.0, sigma_prior=10.0, step=2.0,
        sigma_likelihood=0.2, per_cell=True, subcell="mean",
    )  # fmt: skip
    whole = search_latent_targets(
        y[..., :, None] * x[..., None, :], observed, **options
    )
    parts = search_separable_targets((x, y), observed, **options)
    for a, b in zip(parts, whole):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", HEADS)
def test_a_refiner_takes_the_outer_product_in_coarse_cells(name):
    refiner = dict(type="GHCU", mode="replace", failures=None, dropout=0.0)
    head = build(name, "SemanticAlignment", refiner=refiner)
    codec = head.decoder
    truth = np.array([[[41.75, 29.75]] * 68], np.float32).reshape(1, 68, 2)
    labels = codec.encode(truth)
    label = [torch.from_numpy(labels[f"keypoint_{axis}_labels"]) for axis in "xy"]
    loss = head.loss_module
    logits = [part * loss.label_beta / loss.beta for part in label]
    if not loss.label_softmax:
        logits = [(part + 1e-30).log() for part in label]
    heatmaps = head.refiner_heatmaps(logits)
    assert heatmaps.shape == (1, 68, 16, 24)
    cell = heatmaps[0, 0].argmax().item()
    assert (cell % 24, cell // 24) == (10, 7) and heatmaps.max() > 0.7
    feats = features(name)
    packed = copy.deepcopy(samples())
    for sample in packed:
        sample.gt_instances.transformed_keypoints = truth
        sample.gt_instance_labels.keypoint_weights = torch.ones(1, 68)
    losses = head.loss(feats, packed)
    assert {"loss_kpt", "loss_refiner"} <= set(losses)
    with torch.no_grad():
        refined = head.refiner(head.refiner_heatmaps(head.forward(feats)))
    expected = (refined - torch.tensor([41.75 / 4, 29.75 / 4])).abs().mean() / 24
    assert losses["loss_refiner"].item() == pytest.approx(expected.item(), rel=1e-3)
    with torch.no_grad():
        refined = head.eval().refiner(head.refiner_heatmaps(head.forward(feats)))
    found = head.predict(feats, packed)[0]
    assert np.allclose(found.keypoints[0], refined[0] * 4, atol=1e-3)
    assert found.keypoints_corrected.all()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(decoder=None), "needs a decoder. What works is"),
        (
            dict(decoder=dict(CODEC, smoothing_type="standard")),
            "smoothing_type='standard' labels one bin.*What works is",
        ),
        (
            dict(
                decoder=dict(
                    type="MSRAHeatmap",
                    input_size=(96, 64),
                    heatmap_size=(24, 16),
                    sigma=2,
                )
            ),
            "MSRAHeatmap'. has no distribution along x.*What works is",
        ),
        (dict(loss=dict(type="VariFocalLoss")), "VariFocalLoss.*What works is"),
        (dict(search=dict(sigma=2.0)), "to LatentTargetHook, not to the head"),
    ],
)
@pytest.mark.parametrize("name", ["RTMCCHead", "SimCCHead"])
def test_what_cannot_be_searched_is_refused(name, changes, message):
    config = dict(HEADS[name], type=f"SemanticAlignment{name}", decoder=CODEC)
    with pytest.raises(ValueError, match=f"SemanticAlignment{name}.*{message}"):
        MODELS.build(dict(config, **changes))


def test_the_heatmap_head_says_where_to_go():
    with pytest.raises(ValueError, match="SemanticAlignmentRTMCCHead"):
        MODELS.build(
            dict(
                type="SemanticAlignmentHead",
                in_channels=16,
                out_channels=68,
                decoder=CODEC,
            )
        )
