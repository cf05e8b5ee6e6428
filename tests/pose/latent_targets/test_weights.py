"""Suspects weigh nothing in the loss of any head."""

import copy
import functools

import numpy as np
import pytest
import torch
from mmpose.registry import MODELS
from torch import nn

from semamb_mm.pose.latent_targets.weights import (
    box_of_others,
    check_losses,
    leave_out,
)
from tests.pose.augmented import FLIPS, attach_moved_store, make_dataset
from tests.pose.heads.test_simcc import CODEC as BINS
from tests.pose.heads.test_simcc import build as build_simcc
from tests.pose.heads.test_simcc import features as simcc_features

CELLS = dict(
    type="MSRAHeatmap",
    input_size=(96, 64),
    heatmap_size=(48, 32),
    sigma=1.5,
    unbiased=True,
)
COORDINATES = dict(type="RegressionLabel", input_size=(96, 64))
STOCK = dict(
    type="HeatmapHead",
    in_channels=8,
    out_channels=68,
    deconv_out_channels=None,
    decoder=CELLS,
)
STAGES = dict(
    type="SemanticAlignmentHead",
    num_stages=1,
    in_channels=8,
    out_channels=68,
    decoder=CELLS,
)
CHI_SQUARE = dict(STAGES, loss=dict(type="ChiSquareHeatmapLoss"))
VISIBILITY = dict(
    type="VisPredictHead",
    pose_cfg=STOCK,
    loss=dict(type="BCELoss", use_target_weight=True, use_sigmoid=True),
)
REGRESSION = dict(
    type="RegressionHead",
    in_channels=8,
    num_joints=68,
    loss=dict(type="SmoothL1Loss", use_target_weight=True),
    decoder=COORDINATES,
)
MAPS = (torch.rand(3, 8, 32, 48, generator=torch.Generator().manual_seed(1)),)
HEADS = dict(
    stock=("cells", STOCK, MAPS),
    stages=("cells", STAGES, MAPS),
    chi_square=("cells", CHI_SQUARE, MAPS),
    visibility=("cells", VISIBILITY, MAPS),
    regression=("coordinates", REGRESSION, (MAPS[0][..., :1, :1],)),
    rtmpose=("bins", "RTMCCHead", simcc_features("RTMCCHead", 3)),
    simcc=("bins", "SimCCHead", simcc_features("SimCCHead", 3)),
)
CODECS = dict(cells=CELLS, coordinates=COORDINATES, bins=BINS)
SUSPECTS = torch.zeros(3, 68, dtype=torch.bool)
SUSPECTS[0, [0, 5, 36]] = True
SUSPECTS[1] = True  # nothing else is known of this face


@functools.cache
def batches(kind, direction=None):
    """Three faces, and the same ones with suspects that are annotated elsewhere."""
    flips = [f for f in FLIPS if f["direction"] == direction]
    dataset = make_dataset(*flips, codec=CODECS[kind], num_samples=3)
    store = attach_moved_store(dataset)
    here = [dataset[i]["data_samples"] for i in range(3)]
    store.targets[SUSPECTS] += 4
    return here, [dataset[i]["data_samples"] for i in range(3)]


def faces(direction=None):
    return copy.deepcopy(batches("cells", direction)[0])


def losses(head, feats, samples):
    head.zero_grad()
    head.train()
    torch.manual_seed(0)  # of stochastic depth
    found = head.loss(feats, copy.deepcopy(samples))
    loss = sum(value for name, value in found.items() if "loss" in name)
    loss.backward()
    gradients = [p.grad for p in head.parameters() if p.grad is not None]
    return torch.cat([loss.detach()[None], *(g.flatten() for g in gradients)])


@pytest.mark.parametrize("kind", HEADS)
def test_where_suspects_are_annotated_changes_no_loss_and_no_gradient(kind):
    codec, config, feats = HEADS[kind]
    torch.manual_seed(0)
    head = build_simcc(config) if isinstance(config, str) else None
    head = head or MODELS.build(copy.deepcopy(config))
    check_losses(head)
    here, there = copy.deepcopy(batches(codec, "horizontal"))
    assert not torch.equal(losses(head, feats, here), losses(head, feats, there))
    for samples in (here, there):
        leave_out(samples, SUSPECTS)
    without = losses(head, feats, here)
    assert torch.isfinite(without).all()
    assert torch.equal(without, losses(head, feats, there))
    assert without[1:].abs().max() > 0  # the others are learned


@pytest.mark.parametrize("direction", ["horizontal", "diagonal"])
def test_weights_follow_the_landmarks_and_visibilities_stay(direction):
    (plain, *_), (flipped, whole, other) = faces(), faces(direction)
    leave_out([plain, flipped, whole, other], SUSPECTS)
    left_out = plain.gt_instance_labels.keypoint_weights[0] == 0
    assert left_out.nonzero()[:, 0].tolist() == [0, 5, 36]
    left_out = flipped.gt_instance_labels.keypoint_weights[0] == 0
    mirrored = [0, 5, 36] if direction == "diagonal" else [11, 16, 45]
    assert left_out.nonzero()[:, 0].tolist() == mirrored
    told = flipped.gt_instance_labels.keypoints_visible_weights[0]
    assert torch.equal(told == 0, left_out)
    assert not whole.gt_instance_labels.keypoint_weights.any()
    assert other.gt_instance_labels.keypoint_weights.all()
    assert all(s.gt_instances.keypoints_visible.all() for s in (plain, flipped, whole))


def test_weights_of_several_levels_are_all_taken():
    (sample, *_) = faces()
    labels = sample.gt_instance_labels
    levels = labels.keypoint_weights.repeat(2, 1)[None]
    labels.keypoint_weights = levels
    leave_out([sample], SUSPECTS)
    assert (labels.keypoint_weights[..., [0, 5, 36]] == 0).all()
    assert int(labels.keypoint_weights.sum()) == 2 * 65
    assert levels.all()  # what the sample was made of stays


def test_a_loss_that_takes_no_weights_is_named():
    config = dict(STOCK, loss=dict(type="KeypointMSELoss", use_target_weight=False))
    model = nn.ModuleDict(dict(head=MODELS.build(config)))
    message = "KeypointMSELoss at model.head.loss_module has use_target_weight=False"
    with pytest.raises(ValueError, match=message):
        check_losses(model)


def test_a_box_of_landmarks_is_that_of_the_others():
    points = np.array([[10, 10], [30, 20], [20, 40], [90, 15.0]], np.float32)
    seen, suspects = np.ones(4, bool), np.array([False, False, False, True])
    tight = np.array([10, 10, 90, 40], np.float32)
    for box in (tight, tight.round() + 0.4):
        found = box_of_others(box, points, seen, suspects)
        assert found.tolist() == [10, 10, 30, 40] and found.dtype == box.dtype
    # Of a detector, padded, or drawn: it is no word of the landmarks.
    for box in (tight + (-5, -5, 5, 5), tight - 1):
        assert box_of_others(box, points, seen, suspects) is box
    # A data set may leave hidden landmarks out of its boxes.
    seen[0] = False
    others = box_of_others(np.array([20, 15, 90, 40.0]), points, seen, suspects)
    assert others.tolist() == [20, 20, 30, 40]
    # A single landmark has no box.
    suspects[:3] = (True, True, False)
    assert box_of_others(tight, points, np.ones(4, bool), suspects) is tight


def test_the_crop_does_not_follow_suspects():
    dataset = make_dataset()
    store = attach_moved_store(dataset)
    before, untouched = (dataset[row]["data_samples"].gt_instances for row in (0, 1))
    chin = int(store.annotations[0, :, 1].argmax())
    store.suspects[0, chin] = True
    after, same = (dataset[row]["data_samples"].gt_instances for row in (0, 1))
    assert np.array_equal(same.bboxes, untouched.bboxes)
    lowest = np.delete(store.annotations[0].numpy(), chin, 0)[:, 1].max()
    assert after.bboxes[0, 3] == lowest < before.bboxes[0, 3]
    assert np.array_equal(after.bboxes[0, :3], before.bboxes[0, :3])
    # The label itself stays where it is, as visible as before.
    assert np.array_equal(after.annotated_keypoints, before.annotated_keypoints)
