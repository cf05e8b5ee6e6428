import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmpose.models.heads import CPMHead, HeatmapHead
from mmpose.registry import MODELS

from semamb_mm.pose import SemanticAlignmentHead, SemanticAlignmentMixin
from semamb_mm.pose.latent_targets.search import SearchGrid
from tests.pose.augmented import (
    attach_moved_store,
    make_dataset,
)
from tests.pose.conftest import CODEC

WITHOUT = dict(deconv_out_channels=None)
CONVOLVED = dict(conv_out_channels=(6,), conv_kernel_sizes=(3,))
DECONVOLVED = dict(deconv_out_channels=(4,), deconv_kernel_sizes=(4,))


def build(head_type="SemanticAlignmentHead", **changes):
    """A head; num_stages=None leaves it out, as a HeatmapHead's config does."""
    cfg = dict(
        type=head_type, num_stages=1, in_channels=8, out_channels=68, decoder=CODEC
    )
    cfg.update(changes)
    if cfg["num_stages"] is None:
        del cfg["num_stages"]
    torch.manual_seed(0)
    return MODELS.build(cfg)


def batch(num=2, *augmentation):
    dataset = make_dataset(*augmentation, codec=CODEC)
    store = attach_moved_store(dataset)
    samples = [dataset[i]["data_samples"] for i in range(num)]
    return store, samples


def features(num_stages=1, num=2):
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(num, 8, 32, 32, generator=generator) for _ in range(num_stages)]


@pytest.mark.parametrize(
    ("stock", "changes"),
    [
        ("CPMHead", dict(num_stages=1)),
        ("CPMHead", dict(num_stages=3)),
        ("HeatmapHead", dict(num_stages=None, **WITHOUT)),
        ("HeatmapHead", dict(num_stages=None, **DECONVOLVED, **CONVOLVED)),
    ],
)
def test_without_the_hook_it_is_the_stock_head(stock, changes):
    _, samples = batch()
    if "deconv_kernel_sizes" in changes:
        changes = dict(changes, decoder=dict(CODEC, heatmap_size=(64, 64)))
        for sample in samples:
            sample.gt_fields = PixelData(heatmaps=torch.rand(68, 64, 64))
    ours, theirs = build(**changes), build(stock, **changes)
    theirs.load_state_dict(ours.state_dict())
    feats = features(changes["num_stages"] or 1)
    assert type(ours.forward(feats)) is type(theirs.forward(feats))
    mine, other = ours.loss(feats, samples), theirs.loss(feats, samples)
    assert mine.keys() == other.keys()
    assert torch.equal(mine["loss_kpt"], other["loss_kpt"])
    ours.eval(), theirs.eval()
    predicted = ours.predict(feats, samples)[0].keypoints
    assert np.array_equal(predicted, theirs.predict(feats, samples)[0].keypoints)


def test_num_stages_chooses_the_stock_head_with_its_defaults():
    heatmap, cpm = build(num_stages=None), build(num_stages=2)
    assert isinstance(heatmap, HeatmapHead) and isinstance(cpm, CPMHead)
    assert heatmap.forward([torch.rand(1, 8, 4, 4)]).shape == (1, 68, 32, 32)
    assert [h.shape for h in cpm.forward(features(2))] == [(2, 68, 32, 32)] * 2
    for head in (heatmap, cpm):
        assert isinstance(head, SemanticAlignmentHead)
        assert isinstance(head, SemanticAlignmentMixin)
        assert head.num_landmarks == 68
        assert head.search_grid == SearchGrid((2.0, 2.0), (1.5, 1.5))


def test_a_class_of_ones_own_derives_from_one_of_the_two():
    class Own(type(build())):
        pass

    own = Own(in_channels=8, out_channels=68, num_stages=1, decoder=CODEC)
    assert isinstance(own, SemanticAlignmentHead)

    class Undecided(SemanticAlignmentHead):
        pass

    with pytest.raises(TypeError, match="Undecided: derive from SemanticAlignmentHe"):
        Undecided(in_channels=8, out_channels=68, decoder=CODEC)


def earlier_names(state):
    """A HeatmapHead's state with the names of the earlier single-stage head."""
    paired = any(key.startswith("conv_layers") for key in state)
    names = {
        "deconv_layers.": "multi_deconv_layers.0.0." if paired else DECONVS,
        "conv_layers.": "multi_deconv_layers.0.1.",
        "final_layer.": "multi_final_layers.0.",
    }
    renamed = {}
    for key, value in state.items():
        old = next((n for n in names if key.startswith(n)), "")
        renamed[names.get(old, "") + key[len(old) :]] = value
    return renamed


DECONVS = "multi_deconv_layers.0."


@pytest.mark.parametrize(
    "changes",
    [WITHOUT, DECONVOLVED, dict(WITHOUT, **CONVOLVED), dict(DECONVOLVED, **CONVOLVED)],
)
def test_checkpoints_of_the_earlier_single_stage_head_load(changes):
    refiner = dict(type="GHCU") if "deconv_kernel_sizes" not in changes else None
    ours = build(num_stages=None, refiner=refiner, **changes)
    # The earlier head, which num_stages=1 still makes.
    earlier = build(num_stages=1, refiner=refiner, **changes)
    with torch.no_grad():
        for value in earlier.state_dict().values():
            if value.is_floating_point():
                value.uniform_(0.5, 1)
    assert earlier_names(ours.state_dict()).keys() == earlier.state_dict().keys()
    ours.load_state_dict(earlier.state_dict())
    ours.eval(), earlier.eval()
    assert torch.equal(ours.forward(features()), earlier.forward(features())[0])


def test_an_earlier_checkpoint_without_deconvolutions_says_what_to_do():
    state = build(num_stages=1).state_dict()
    with pytest.raises(ValueError, match="head.deconv_out_channels=None"):
        build(num_stages=None).load_state_dict(state)


def test_single_stage_takes_the_last_feature_map_as_heatmap_head_does():
    ours = build(**CONVOLVED).eval()
    theirs = build("HeatmapHead", num_stages=None, **WITHOUT, **CONVOLVED).eval()
    theirs.load_state_dict(
        dict(zip(theirs.state_dict(), ours.state_dict().values())), strict=True
    )
    feats = [torch.rand(2, 4, 64, 64), *features()]
    assert torch.equal(ours.forward(feats)[0], theirs.forward(tuple(feats)))


def test_deconv_layers_double_the_heatmap():
    head = build(**DECONVOLVED)
    assert head.forward(features())[0].shape == (2, 68, 64, 64)


@pytest.mark.parametrize("num_stages", [None, 2])
def test_observers_see_the_last_stages_heatmaps_until_removed(num_stages):
    head = build(num_stages=num_stages, **WITHOUT).train()
    feats = features(num_stages or 1)
    seen = []
    handle = head.register_heatmap_observer(seen.append)
    outputs = head.forward(feats)
    last = outputs if num_stages is None else outputs[-1]
    assert len(seen) == 1 and seen[0] is last
    _, samples = batch()
    head.loss(feats, samples)
    assert len(seen) == 2 and torch.equal(seen[1], last)
    handle.remove()
    head.forward(feats)
    assert len(seen) == 2


@pytest.mark.parametrize("num_stages", [None, 2])
def test_mixed_precision_ends_at_the_heatmaps(num_stages):
    head = build(num_stages=num_stages, **WITHOUT)
    _, samples = batch()
    with torch.autocast("cpu", torch.bfloat16):
        losses = head.loss(features(num_stages or 1), samples)
        outputs = head.forward(features(num_stages or 1))
    assert torch.isfinite(losses["acc_pose"])
    assert all(part.dtype is torch.float32 for part in outputs)


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
