import numpy as np
import pytest
import torch

from semamb_mm.pose import GHCU
from semamb_mm.pose.refiners.threshold import (
    Measured,
    choose_threshold,
    neighbour_weights,
    refined_share,
    relative_confidence,
)

# Three landmarks close together, one far away.
FACE = torch.tensor([[[0.0, 0], [1, 0], [0, 1], [100, 100]]])


def test_alone_a_landmarks_confidence_is_its_own():
    assert neighbour_weights(FACE, 0) is None
    ratio = relative_confidence(
        torch.tensor([[0.2, 0.4, 0.0]]), torch.tensor([0.4, 0.4, 0.4])
    )
    assert ratio.tolist() == [[0.5, 1, 0]]


def test_neighbours_weigh_by_their_distance_over_the_faces_size():
    weights = neighbour_weights(FACE, 0.05)
    expected = [1, np.exp(-(0.2**2) / 2), np.exp(-(0.2**2) / 2), 0]
    assert weights[0, 0].tolist() == pytest.approx(expected)
    assert torch.allclose(neighbour_weights(3 * FACE + 7, 0.05), weights)


def test_a_sure_landmark_among_covered_ones_is_covered():
    confidence = torch.tensor([[0.9, 0.1, 0.1, 0.9]])
    ratio = relative_confidence(
        confidence, torch.full((4,), 0.5), neighbour_weights(FACE, 0.05)
    )
    assert ratio[0, 0] == pytest.approx((1.8 + 0.2 + 0.2) / 3, rel=0.02)
    shares = refined_share(ratio, "threshold").tolist()
    assert shares == [[1, 1, 1, 0]]


def test_ratios_count_up_to_two_and_thresholds_of_zero_not_at_all():
    confidence = torch.tensor([[0.9, 0.1, 0.4, 0.9]])
    threshold = torch.tensor([0.01, 0.0, 0.4, -1.0])
    ratio = relative_confidence(confidence, threshold, torch.ones(1, 4, 4))
    assert ratio.tolist() == [[1.5, torch.inf, 1.5, torch.inf]]
    for mode in ("threshold", "blend"):
        assert refined_share(ratio, mode).tolist() == [[0, 0, 0, 0]]


def test_a_face_of_one_point_is_finite():
    weights = neighbour_weights(torch.zeros(1, 4, 2), 0.1)
    assert torch.equal(weights, torch.ones(1, 4, 4))


def test_a_threshold_is_chosen_as_it_is_used():
    """The error that the curve promises is that of GHCU.combine."""
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 48, (30, 6, 2))

    def faces(covered):
        hidden = rng.random((30, 6)) < covered
        spread = np.where(hidden, 8, 0.5)[..., None]
        return Measured(
            np.where(hidden, 0.2, 0.8) + rng.normal(0, 0.1, (30, 6)),
            truth,
            truth + rng.normal(0, 1, truth.shape) * spread,
            truth + rng.normal(0, 2, truth.shape),
            np.full(30, 20.0),
            neighbourhood=0.1,
        )

    degraded = faces(0.5)
    threshold, curve = choose_threshold(faces(0), degraded)
    refiner = GHCU(6, (48, 48), confidence_threshold=threshold, neighbourhood=0.1)
    found, corrected = refiner.combine(
        *(
            torch.as_tensor(a, dtype=torch.float32)
            for a in (degraded.detected, degraded.confidence, degraded.refined)
        )
    )
    (row,) = [row for row in curve if row["chosen"]]
    assert row["factor"] > 0
    assert degraded.errors(found.numpy()).mean() == pytest.approx(row["degraded"], 1e-4)
    assert corrected.double().mean() == pytest.approx(row["corrected_degraded"])


@pytest.mark.parametrize("neighbourhood", [-0.1, float("nan"), float("inf")])
def test_a_wrong_neighbourhood(neighbourhood):
    with pytest.raises(ValueError, match="neighbourhood is"):
        GHCU(3, (8, 8), neighbourhood=neighbourhood)
