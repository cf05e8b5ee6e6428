import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from semamb_mm.functional import (
    ConsensusOptions,
    ConsensusRows,
    ErrorSplit,
    consensus_targets,
    detector_change,
    half_samples,
    interval,
    split_errors,
)

AMOUNT = st.floats(0, 4)


def world(noise, network, samples=800, landmarks=10, seed=0):
    """Truth, annotations, and what a network finds that errs alike everywhere."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64)

    truth = normal(samples, 1, 2).expand(samples, landmarks, 2)
    noise = torch.as_tensor(noise).expand(landmarks)[:, None]
    observed = truth + noise * normal(samples, landmarks, 2)
    return truth, observed, truth + network * normal(samples, 1, 2)


def mean_squares(points):
    return points.square().sum(-1).mean(0)


def test_noise_and_error_are_those_that_were_drawn():
    noise = torch.tensor([0.0] * 5 + [0.5, 0.5, 1.0, 1.0, 2.0])
    truth, observed, found = world(noise, network=1.0)
    split = split_errors(ConsensusRows(observed, found), ConsensusOptions())
    expected = 2 * noise.double().square()
    # noise_share is 0.9: what is estimated is on the small side.
    assert (split.noise < 1.05 * expected + 0.02).all()
    assert (split.noise > 0.75 * expected - 0.02).all()
    assert (split.network > 1.7).all()
    assert (split.network < 2.3 + 0.15 * expected).all()
    targets = consensus_targets(observed, found)
    left = mean_squares(targets - truth)
    noisy = slice(5, None)
    assert (split.left[noisy] > left[noisy]).all()  # on the careful side, and not far
    assert (split.left < 0.12 * expected + 0.02).all()
    gained = 1 - (left[noisy].sum() / expected[noisy].sum()).sqrt()
    assert 0.75 * gained < split.targets_change(range(5, 10)) < gained
    assert split.left[:5].max() < 1e-3


def test_an_error_of_the_networks_own_is_no_noise():
    _, clean, found = world(0.0, network=0.5)
    own = torch.randn(found.shape, generator=torch.Generator().manual_seed(1))
    spread = torch.zeros(*found.shape[:2], 3)
    spread[..., :2] = 0.5**2
    rows = ConsensusRows(clean, found + 0.5 * own, None, spread)
    split = split_errors(rows, ConsensusOptions())
    assert (split.noise == 0).all() and (split.taken == 0).all()
    assert split.targets_change(range(10)) == 0
    unguarded = split_errors(
        ConsensusRows(clean, found + 0.5 * own), ConsensusOptions()
    )
    assert unguarded.noise.mean() > 0.2


def test_of_one_sample_nothing_is_known():
    _, observed, found = world(1.0, 1.0, samples=1)
    split = split_errors(ConsensusRows(observed, found), ConsensusOptions())
    assert all((part == 0).all() and len(part) == 10 for part in split)


def test_landmarks_that_are_never_seen_have_no_figures():
    _, observed, found = world(1.0, 1.0, samples=200)
    visible = torch.ones(200, 10)
    visible[:, 3] = 0
    rows = ConsensusRows(observed, found, visible)
    split = split_errors(rows, ConsensusOptions())
    assert split.noise[3] == split.taken[3] == 0 and (split.noise[4:] > 0.5).all()


def loop_detector_change(split, train, held_out, landmarks):
    """As the docstring says, landmark by landmark."""
    error = gained = 0.0
    for k in landmarks:
        noise, network, taken = (float(part[k]) for part in split)
        optimism = max(0.0, float(held_out[k] - train[k]))
        by_noise = min(optimism / 2, noise, network)
        if noise > 0:
            gained += by_noise * min(taken / noise, 1.0)
        error += network
    return 1 - math.sqrt(max(0.0, 1 - gained / error)) if error > 0 else 0.0


@given(st.lists(st.tuples(*[AMOUNT] * 5), min_size=1, max_size=6))
def test_the_detectors_change_is_the_loops_and_a_share(amounts):
    noise, network, taken, train, held_out = torch.tensor(amounts).double().T
    split = ErrorSplit(noise, network, taken)
    landmarks = range(len(amounts))
    change = float(detector_change(split, train, held_out, landmarks))
    assert 0 <= change <= 1
    expected = loop_detector_change(split, train, held_out, landmarks)
    assert change == pytest.approx(expected, abs=1e-9)
    assert detector_change(split, held_out, held_out, landmarks) == 0


def test_optimism_bounds_what_noise_makes_of_a_linear_smoothers_error():
    """Ridge regression on noisy values of a line, against its error on clean ones."""
    generator = torch.Generator().manual_seed(0)
    inputs = torch.randn(60, 12, generator=generator, dtype=torch.float64)
    smoother = inputs @ torch.linalg.solve(
        inputs.T @ inputs + 5 * torch.eye(12), inputs.T
    )
    truth = inputs @ torch.ones(12).double()
    noise = torch.randn(4000, 60, generator=generator, dtype=torch.float64)
    annotated = truth + noise
    found = annotated @ smoother.T
    train = (annotated - found).square().mean()
    again = torch.randn(4000, 60, generator=generator, dtype=torch.float64)
    held_out = (truth + again - found).square().mean()
    by_noise = (noise @ smoother.T).square().mean()
    half = (held_out - train) / 2
    assert 0.7 * half < by_noise < half


def test_half_of_the_groups_is_drawn_and_whole():
    groups = torch.tensor([7, 3, 7, 5, 3, 7, 9])
    sizes = {7: 3, 3: 2, 5: 1, 9: 1}
    seen = []

    def statistic(rows):
        drawn = groups[rows]
        for group, size in sizes.items():
            assert int((drawn == group).sum()) in (0, size)
        assert len(drawn.unique()) == 2
        seen.append(rows)
        return drawn.double().mean()[None]

    found = half_samples(groups, statistic, 20, torch.Generator().manual_seed(0))
    assert found.shape == (20, 1) and len({tuple(r.tolist()) for r in seen}) > 3
    again = half_samples(groups, statistic, 20, torch.Generator().manual_seed(0))
    assert torch.equal(found, again)


def test_the_interval_of_a_mean_is_as_wide_as_its_standard_error_says():
    values = torch.randn(400, generator=torch.Generator().manual_seed(0)).double()
    found = half_samples(
        torch.arange(400),
        lambda rows: values[rows].mean(),
        1000,
        torch.Generator().manual_seed(1),
    )
    low, high = interval(values.mean(), found)
    assert low < values.mean() < high
    assert interval(high + 1, found)[1] == high + 1
    assert float(high - low) == pytest.approx(2 * 1.96 / 20, rel=0.15)
