import numpy as np
import pytest
import torch

from semamb_mm.pose import GHCU
from tests.pose.heads.test_semantic_alignment_head import batch, build, features


def blobs(positions, size, sigma=1.5):
    """Gaussian heatmaps (B, K, H, W) at positions (B, K, 2), cells."""
    y, x = torch.meshgrid(*(torch.arange(s) for s in size[::-1]), indexing="ij")
    dx = x - positions[..., 0, None, None]
    dy = y - positions[..., 1, None, None]
    return torch.exp(-(dx**2 + dy**2) / (2 * sigma**2))


def test_layers_are_table_1s_for_256_cells():
    refiner = GHCU(68, (256, 256))
    convs = [m for m in refiner.modules() if isinstance(m, torch.nn.Conv2d)]
    table = [(5, 64), (3, 64), (3, 32), (3, 32), (3, 16), (3, 16)]
    assert [(c.kernel_size[0], c.out_channels) for c in convs] == table
    assert all(c.stride == (2, 2) for c in convs)
    linear = [m for m in refiner.modules() if isinstance(m, torch.nn.Linear)]
    assert [(m.in_features, m.out_features) for m in linear] == [(256, 256), (256, 136)]


@pytest.mark.parametrize(
    "size", [(256, 256), (64, 64), (48, 48), (48, 64), (37, 20), (4, 4), (320, 300)]
)
def test_the_stack_adapts_to_the_heatmap(size):
    refiner = GHCU(5, size)
    assert refiner(torch.rand(2, 5, *size[::-1])).shape == (2, 5, 2)


def test_it_learns_where_a_removed_landmark_of_a_rigid_shape_is():
    """Four corners of a square that moves: three of them tell the fourth."""
    torch.manual_seed(0)
    refiner = GHCU(4, (32, 24), failures=None)
    optimizer = torch.optim.Adam(refiner.parameters(), lr=3e-3)
    square = torch.tensor([[0.0, 0], [8, 0], [8, 8], [0, 8]])

    def faces(num):
        corner = torch.rand(num, 1, 2) * torch.tensor([20.0, 12])
        return corner + square

    for _ in range(150):
        positions = faces(32)
        heatmaps = blobs(positions, (32, 24))
        heatmaps[torch.arange(32), torch.randint(4, (32,))] = 0
        optimizer.zero_grad()
        refiner.loss(heatmaps, positions, torch.ones(32, 4)).backward()
        optimizer.step()
    positions = faces(100)
    heatmaps = blobs(positions, (32, 24))
    heatmaps[:, 2] = 0
    with torch.no_grad():
        error = (refiner.eval()(heatmaps) - positions)[:, 2].norm(dim=-1)
    spread = (positions[:, 2] - positions[:, 2].mean(0)).norm(dim=-1)
    assert error.mean() < 0.25 * spread.mean()


def test_combine():
    positions = torch.zeros(1, 3, 2)
    refined = torch.full((1, 3, 2), 8.0)
    confidence = torch.tensor([[0.9, 0.1, 0.4]])

    def combine(mode, threshold=0.4):
        refiner = GHCU(3, (8, 8), mode=mode, confidence_threshold=threshold)
        found, corrected = refiner.combine(positions, confidence, refined)
        return found[0, :, 0].tolist(), corrected[0].tolist()

    assert combine("threshold") == ([0, 8, 0], [False, True, False])
    assert combine("replace") == ([8, 8, 8], [True, True, True])
    found, corrected = combine("blend")
    assert found == pytest.approx([0, 8, 0]) and corrected == [False, True, False]
    found, corrected = combine("blend", 0.5)
    assert found == pytest.approx([0, 8, 3.2]) and corrected == [False, True, True]
    assert combine("blend", 0.0) == ([0, 0, 0], [False] * 3)
    assert combine("threshold", (0, 0, 0.5)) == ([0, 0, 8], [False, False, True])


def test_a_checkpoint_brings_its_threshold_unless_the_config_names_one():
    state = GHCU(3, (8, 8), confidence_threshold=(0.1, 0.2, 0.3)).state_dict()
    plain, fixed = GHCU(3, (8, 8)), GHCU(3, (8, 8), confidence_threshold=0.7)
    plain.load_state_dict(state)
    fixed.load_state_dict(state)
    assert plain.threshold.tolist() == pytest.approx([0.1, 0.2, 0.3])
    assert fixed.threshold.tolist() == pytest.approx([0.7] * 3)


@pytest.mark.parametrize(
    "kwargs, message",
    [
        (dict(mode="swap"), "mode is 'swap'"),
        (dict(confidence_threshold=(0.1, 0.2)), "each of the 3 landmarks"),
        (dict(confidence_threshold=float("nan")), "confidence_threshold"),
        (dict(heatmap_size=(1, 8)), "at least 2 x 2"),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        GHCU(**{**dict(num_keypoints=3, heatmap_size=(8, 8)), **kwargs})


def test_wrong_heatmaps_and_wrong_checkpoints_are_named():
    with pytest.raises(ValueError, match=r"\(B, 3, 8, 8\), got \(1, 3, 8, 16\)"):
        GHCU(3, (8, 8))(torch.zeros(1, 3, 8, 16))
    # 5 cells need as many layers as 8, so that every weight would fit.
    state = GHCU(3, (8, 8)).state_dict()
    with pytest.raises(ValueError, match="3 landmarks on 8 x 8.*3 landmarks on 7 x 8"):
        GHCU(3, (7, 8)).load_state_dict(state)


def test_the_head_learns_and_predicts_with_it():
    torch.manual_seed(0)
    head = build(refiner=dict(type="GHCU", failures=None, mode="replace"))
    _, samples = batch()
    losses = head.loss(features(), samples)
    assert set(losses) == {"loss_kpt", "acc_pose", "loss_refiner"}
    losses["loss_refiner"].backward()
    weight = head.multi_final_layers[0].weight
    assert weight.grad is None  # detach=True
    heatmaps = head.eval()(features())[-1]
    cells = torch.stack(
        [torch.tensor(s.gt_instances.transformed_keypoints[0]) for s in samples]
    )
    cells = cells / torch.tensor(head.decoder.scale_factor)
    expected = (head.refiner(heatmaps) - cells).abs() / 32
    visible = torch.cat([s.gt_instance_labels.keypoint_weights for s in samples])
    assert losses["loss_refiner"].item() == pytest.approx(
        (expected * visible[..., None]).mean().item(), rel=1e-3
    )
    prediction = head.predict(features(), samples)[1]
    refined = head.refiner(heatmaps)[1] * torch.tensor(head.decoder.scale_factor)
    assert np.allclose(prediction.keypoints[0], refined.detach(), atol=1e-4)
    assert prediction.keypoints_corrected.all()


def test_the_heads_threshold_mode_replaces_the_unsure_landmarks_alone():
    _, samples = batch()
    plain = build().eval()
    refined = build(refiner=dict(type="GHCU")).eval()
    refined.load_state_dict(plain.state_dict(), strict=False)
    before = plain.predict(features(), samples)[0]
    level = float(np.median(before.keypoint_scores))
    refined.refiner.threshold.fill_(level)
    after = refined.predict(features(), samples)[0]
    unsure = before.keypoint_scores < level
    assert np.array_equal(after.keypoints_corrected, unsure) and unsure.any()
    confidence = before.keypoint_scores
    signed = np.where(unsure, -np.abs(confidence), confidence)
    assert np.allclose(after.keypoint_scores, signed, atol=2e-6)
    assert np.array_equal(after.keypoint_scores < 0, after.keypoints_corrected)
    same = (after.keypoints == before.keypoints).all(-1)
    assert np.array_equal(same, ~unsure)


def test_joint_training_can_reach_the_detector():
    head = build(refiner=dict(type="GHCU", detach=False))
    _, samples = batch()
    head.loss(features(), samples)["loss_refiner"].backward()
    assert head.multi_final_layers[0].weight.grad.abs().sum() > 0


def test_a_refiner_for_another_head_is_refused():
    with pytest.raises(ValueError, match="refiner's num_keypoints is 5, the head's 68"):
        build(refiner=dict(type="GHCU", num_keypoints=5))
    with pytest.raises(ValueError, match="heatmap_size"):
        build(refiner=dict(type="GHCU", heatmap_size=(64, 64)))
    head = build(refiner=dict(type="GHCU"))
    _, samples = batch()
    for sample in samples:
        del sample.gt_instances.transformed_keypoints
    with pytest.raises(RuntimeError, match="pack_transformed=True"):
        head.loss(features(), samples)
