import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from semamb_mm.functional import curve_tangents, search_latent_targets
from tests.pose.conftest import CODEC
from tests.pose.transforms.test_load_latent_targets import (
    BOX,
    FLIPS,
    attach_moved_store,
    make_dataset,
)


def build(head_type="SemanticAlignmentHead", **changes):
    cfg = dict(type=head_type, in_channels=8, out_channels=68, decoder=CODEC)
    torch.manual_seed(0)
    return MODELS.build({**cfg, **changes})


def batch(num=2, *augmentation):
    dataset = make_dataset(*augmentation, codec=CODEC)
    store = attach_moved_store(dataset)
    samples = [dataset[i]["data_samples"] for i in range(num)]
    return store, samples


def features(num_stages=1, num=2):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(num, 8, 32, 32, generator=generator) for _ in range(num_stages)]


@pytest.mark.parametrize("num_stages", [1, 3])
def test_without_the_hook_it_is_a_cpm_head(num_stages):
    _, samples = batch()
    ours = build(num_stages=num_stages)
    theirs = build("CPMHead", num_stages=num_stages)
    theirs.load_state_dict(ours.state_dict())
    feats = features(num_stages)
    mine, other = ours.loss(feats, samples), theirs.loss(feats, samples)
    assert mine.keys() == other.keys()
    assert torch.equal(mine["loss_kpt"], other["loss_kpt"])
    assert ours.pop_search() is None
    ours.eval(), theirs.eval()
    predicted = ours.predict(feats, samples)[0].keypoints
    assert np.array_equal(predicted, theirs.predict(feats, samples)[0].keypoints)


def test_single_stage_takes_the_last_feature_map_as_heatmap_head_does():
    changes = dict(conv_out_channels=(6,), conv_kernel_sizes=(3,))
    ours = build(**changes).eval()
    theirs = build("HeatmapHead", deconv_out_channels=None, **changes).eval()
    names = {
        "multi_deconv_layers.0.1.": "conv_layers.",
        "multi_final_layers.0.": "final_layer.",
    }
    state = {}
    for key, value in ours.state_dict().items():
        for old, new in names.items():
            key = key.replace(old, new)
        state[key] = value
    theirs.load_state_dict(state)
    feats = [torch.rand(2, 4, 64, 64), *features()]
    assert torch.equal(ours.forward(feats)[0], theirs.forward(tuple(feats)))


def test_deconv_layers_double_the_heatmap():
    head = build(deconv_out_channels=(4,), deconv_kernel_sizes=(4,))
    assert head.forward(features())[0].shape == (2, 68, 64, 64)


@pytest.mark.parametrize("anchor", ["previous", "annotation"])
@pytest.mark.parametrize("augmentation", [[], [BOX], [FLIPS[0], BOX]])
def test_search_is_the_functions_brought_back_to_the_image(anchor, augmentation):
    """The found targets, by hand: own warp in, functional search, own warp out."""
    store, samples = batch(2, *augmentation)
    curves = [range(0, 17), range(17, 22)]
    search = dict(search_radius=4, sigma_likelihood=0.5)
    head = build(search=dict(search, curves=curves, sigma_normal=1.0)).train()
    head.searching, head.anchor = True, anchor
    head.loss(features(), samples)
    found = head.pop_search()
    assert head.pop_search() is None
    assert found.indices.tolist() == [0, 1]

    from semamb_mm.pose.latent_targets.warp import input_warp

    heatmaps = head.forward(features())[-1].detach()
    for i, sample in enumerate(samples):
        warp = input_warp(sample)
        anchors = store.targets if anchor == "previous" else store.annotations
        observed = torch.from_numpy(warp.to_input(anchors[i].numpy()) / 2).float()
        weights = sample.gt_instance_labels.keypoint_weights
        options = {k: v for k, v in head.search.items() if k != "curves"}
        cells, energy = search_latent_targets(
            heatmaps[i : i + 1],
            observed[None],
            visible=weights,
            tangents=curve_tangents(observed[None], curves, weights),
            **options,
        )
        expected = warp.to_image(cells[0].double().numpy() * 2)
        assert np.abs(found.targets[i].numpy() - expected).max() < 1e-3
        assert torch.allclose(found.energies[i][warp.order], energy[0])
        assert torch.equal(found.searched[i][warp.order], weights[0] > 0)
    assert found.searched.any()


def test_a_search_that_changes_nothing_gives_the_store_back():
    store, samples = batch(2, FLIPS[0], BOX)
    head = build(search=dict(search_radius=2, sigma_prior=1e-3, subcell="none"))
    # Radius 0 would round to cells, so compare to half a cell's diagonal in pixels.
    head.train().searching = True
    head.loss(features(), samples)
    found = head.pop_search()
    cell = [float(s.metainfo["input_scale"][0]) / 32 for s in samples]
    moved = (found.targets - store.targets[:2]).norm(dim=-1)
    limit = torch.tensor(cell)[:, None] * 0.71 + 1e-3
    assert (moved <= limit)[found.searched].all()


def test_moves_at_the_rim_of_the_neighbourhood_are_reported():
    _, samples = batch()
    head = build(search=dict(search_radius=2, sigma_prior=1e6, subcell="none")).train()
    head.searching = True
    head.loss(features(), samples)
    found = head.pop_search()
    assert found.at_edge.any() and not found.at_edge.all()
    assert not (found.at_edge & ~found.searched).any()


@pytest.mark.parametrize("loss", ["ChiSquareHeatmapLoss", "AdaptiveWingLoss"])
def test_other_losses_plug_in(loss):
    _, samples = batch()
    head = build(loss=dict(type=loss, use_target_weight=True), num_stages=2)
    losses = head.loss(features(2), samples)
    losses["loss_kpt"].backward()
    assert torch.isfinite(losses["loss_kpt"])


def test_bad_configs_are_named():
    with pytest.raises(ValueError, match="sigma_piror"):
        build(search=dict(sigma_piror=1))
    with pytest.raises(ValueError, match="sigma_likelihood .* got 3"):
        build(search=dict(sigma_likelihood=[1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="curves must hold"):
        build(search=dict(curves=[[0, 68]], sigma_normal=1.0))
    with pytest.raises(ValueError, match="go together"):
        build(search=dict(curves=[[0, 1]]))
    with pytest.raises(ValueError, match="decoder"):
        build(decoder=None)
    with pytest.raises(ValueError, match="same length"):
        build(conv_out_channels=(4, 4), conv_kernel_sizes=(1,))
