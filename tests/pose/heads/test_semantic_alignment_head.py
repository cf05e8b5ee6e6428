import numpy as np
import pytest
import torch
from mmpose.registry import MODELS

from tests.pose.augmented import (
    attach_moved_store,
    make_dataset,
)
from tests.pose.conftest import CODEC


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


def test_observers_see_the_last_stages_heatmaps_until_removed():
    head = build(num_stages=2).train()
    seen = []
    handle = head.register_heatmap_observer(seen.append)
    heatmaps = head.forward(features(2))
    assert len(seen) == 1 and seen[0] is heatmaps[-1]
    _, samples = batch()
    head.loss(features(2), samples)
    assert len(seen) == 2 and torch.equal(seen[1], heatmaps[-1])
    handle.remove()
    head.forward(features(2))
    assert len(seen) == 2


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
    with pytest.raises(ValueError, match="decoder"):
        build(decoder=None)
    with pytest.raises(ValueError, match="same length"):
        build(conv_out_channels=(4, 4), conv_kernel_sizes=(1,))
