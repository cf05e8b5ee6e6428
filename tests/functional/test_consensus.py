"""Consensus targets against loops, and on data whose truth is known."""

import importlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.functional import (
    ConsensusOptions,
    ConsensusRows,
    ViewScatter,
    consensus_by_chunks,
    consensus_targets,
    curve_tangents,
)
from semamb_mm.functional.consensus_moments import (
    ConsensusModel,
    ConsensusMoments,
    differences,
)
from studies.network_error import REGIMES, errors, simulate

from .former_consensus import former_consensus

CURVE = [0, 1, 2, 3, 4]


def faces(samples=300, seed=0, slide=0.0, network=0.05, noise=0.05):
    """Truth, annotations, and a network that errs by one shift a face.

    A curve of five landmarks along x, and two more beside it.
    """
    rng = np.random.default_rng(seed)
    shape = np.array([[i, 0.1 * i] for i in range(5)] + [[1.0, 2.0], [3.0, 2.0]])
    truth = shape + 0.2 * rng.standard_normal((samples, 1, 2))
    found = truth + network * rng.standard_normal((samples, 1, 2))
    observed = truth + 0.1 * noise * rng.standard_normal(truth.shape)
    along = noise * rng.standard_normal((samples, 5))
    along += slide * rng.standard_normal((samples, 1))
    tangent = np.array([1.0, 0.1]) / np.hypot(1.0, 0.1)
    observed[:, :5] += along[..., None] * tangent
    return (torch.from_numpy(a) for a in (truth, observed, found))


def rms(errors, where=...):
    return float(errors[where].square().sum(-1).mean().sqrt())


def error(targets, truth, landmarks=slice(0, 5)):
    return rms((targets - truth)[:, landmarks])


def reference_shrinkage(d):
    """Schaefer and Strimmer 2005, table 1, target D, of correlations."""
    n, k = d.shape
    z = d / d.std(0)
    above = below = 0
    for i in range(k):
        for j in range(k):
            if i != j:
                w = z[:, i] * z[:, j]
                above += n / (n - 1) ** 3 * ((w - w.mean()) ** 2).sum()
                below += w.mean() ** 2
    return min(max(above / below, 1 / n), 1)


def reference_explainable(d):
    """What the others explain of each coordinate at most, term by term."""
    n, k = d.shape
    z = (d - d.mean(0)) / d.std(0)
    found = np.zeros(k)
    for i in range(k):
        for j in range(k):
            if i != j:
                w = z[:, i] * z[:, j]
                found[i] += w.mean() ** 2
                found[i] -= n / (n - 1) ** 3 * ((w - w.mean()) ** 2).sum()
    return np.minimum(np.maximum(found, 0) + 2 * np.sqrt(2 * (k - 1)) / n, 1)


def reference(observed, found, curve, slide_share, noise_share, shrinkage):
    """Landmark by landmark, coordinate by coordinate."""
    n, k, _ = observed.shape
    tangents = curve_tangents(found, [curve])
    d = np.zeros((n, 2 * k))
    axes = np.zeros((n, k, 2, 2))
    for i in range(n):
        for j in range(k):
            t = tangents[i, j].numpy() if j in curve else np.array([1.0, 0.0])
            axes[i, j] = t, (-t[1], t[0])
            gap = (observed[i, j] - found[i, j]).numpy()
            d[i, 2 * j], d[i, 2 * j + 1] = axes[i, j, 0] @ gap, axes[i, j, 1] @ gap
    d -= d.mean(0)
    c = d.T @ d / n
    spread = np.diag(np.diag(c))
    explainable = np.ones(2 * k)
    if shrinkage is None:
        shrinkage, explainable = reference_shrinkage(d), reference_explainable(d)
    shrunk = (1 - shrinkage) * c
    c = shrunk + shrinkage * spread
    s = shrunk @ np.linalg.inv(c)
    freedom = n - 1 - np.trace(2 * s - s @ s)
    e = np.zeros_like(c)
    for j in range(2 * k):
        others = [i for i in range(2 * k) if i != j]
        weights = np.linalg.solve(c[np.ix_(others, others)], shrunk[others, j])
        rest = d[:, j] - d[:, others] @ weights
        unexplained = (rest @ rest) / freedom
        missed = shrinkage**2 * min(explainable[j] * spread[j, j], unexplained)
        e[j, j] = noise_share * (unexplained - missed)
    own = np.diag(e).copy()
    for a in curve:
        for b in curve:
            common = slide_share / (1 - slide_share)
            e[2 * a, 2 * b] += common * np.sqrt(own[2 * a] * own[2 * b])
    values, vectors = np.linalg.eigh(c - e)
    network = vectors @ np.diag(np.maximum(values, 0)) @ vectors.T
    y = observed.numpy().copy()
    for i in range(n):
        kept = network @ np.linalg.solve(network + e, d[i]) - d[i]
        for j in range(k):
            y[i, j] += kept[2 * j] * axes[i, j, 0] + kept[2 * j + 1] * axes[i, j, 1]
    return torch.from_numpy(y)


@pytest.mark.parametrize("slide_share", [0.0, 0.4])
@pytest.mark.parametrize("noise_share", [0.5, 1.0])
@pytest.mark.parametrize("shrinkage", [None, 0.1])
def test_equals_the_loop(slide_share, noise_share, shrinkage):
    _, observed, found = faces(40, slide=0.03)
    options = dict(
        slide_share=slide_share, noise_share=noise_share, shrinkage=shrinkage
    )
    targets = consensus_targets(
        observed, found, curves=[CURVE], sliding=[CURVE], clip=1e9, **options
    )
    torch.testing.assert_close(targets, reference(observed, found, CURVE, **options))


@pytest.mark.parametrize("samples", [300, 1000])
def test_differences_without_any_correlation_are_the_annotators(samples):
    """Where the network is right there is nothing to correlate, and nothing missed."""
    generator = torch.Generator().manual_seed(0)
    observed = torch.randn(samples, 12, 2, generator=generator)
    found = 0.1 * torch.randn(samples, 1, 2, generator=generator)
    targets = consensus_targets(observed, found.expand_as(observed))
    assert rms(targets) < 0.35 * rms(observed)


def test_a_few_correlated_coordinates_among_many_are_the_networks():
    """Two landmarks that the network misjudges alike do not hide in the others."""
    generator = torch.Generator().manual_seed(1)
    observed = 0.2 * torch.randn(500, 30, 2, generator=generator)
    found = torch.zeros_like(observed)
    found[:, :2] += torch.randn(500, 1, 2, generator=generator)
    moves = consensus_targets(observed, found) - observed
    assert rms(moves[:, :2]) < 0.35
    assert rms(moves[:, 2:]) > 0.15


@pytest.mark.parametrize("seed", range(3))
def test_independent_slips_are_taken_back(seed):
    truth, observed, found = faces(seed=seed)
    targets = consensus_targets(observed, found, curves=[CURVE])
    assert error(targets, truth) < 0.6 * error(observed, truth)
    assert error(targets, truth) < 0.6 * error(found, truth)
    others = slice(5, 7)
    assert error(targets, truth, others) <= 1.05 * error(observed, truth, others)


def test_a_common_slide_is_taken_back_where_it_may_be_one():
    truth, observed, found = faces(slide=0.05, network=0.01)
    options = dict(curves=[CURVE], slide_share=0.5)
    fixed = consensus_targets(observed, found, **options)
    sliding = consensus_targets(observed, found, sliding=[CURVE], **options)
    assert error(sliding, truth) < 0.6 * error(fixed, truth)


def errors_like_a_network(samples, seed=0, landmarks=40, rank=6):
    """Annotators' slips independent, a network's errors of a few kinds."""
    rng = np.random.default_rng(seed)
    kinds = rng.standard_normal((rank, landmarks * 2)) / rank**0.5
    network = 0.05 * rng.standard_normal((samples, rank)) @ kinds
    truth = np.zeros((samples, landmarks, 2))
    noise = 0.05 * rng.standard_normal(truth.shape)
    return (
        torch.from_numpy(a)
        for a in (truth, truth + noise, truth + network.reshape(truth.shape))
    )


@pytest.mark.parametrize("samples", [40, 100, 400])
def test_slips_are_taken_back_with_fewer_samples_than_coordinates(samples):
    for seed in range(3):
        truth, observed, found = errors_like_a_network(samples, seed)
        targets = consensus_targets(observed, found)
        share = {40: 0.8, 100: 0.65, 400: 0.45}[samples]
        everywhere = slice(0, 40)
        assert error(targets, truth, everywhere) < share * 0.0707


@pytest.mark.parametrize("share", [0.005, 0.05])
def test_gross_errors_are_taken_back_and_harm_no_others(share):
    for seed in range(3):
        truth, observed, found = errors_like_a_network(300, seed)
        rng = np.random.default_rng(seed)
        gross = torch.from_numpy(rng.random((300, 40)) < share)
        clean = consensus_targets(observed, found)
        shifts = torch.from_numpy(rng.normal(0, 1.0, (int(gross.sum()), 2)))
        spoilt = observed.clone()
        spoilt[gross] += shifts
        targets = consensus_targets(spoilt, found)
        linear = consensus_targets(spoilt, found, clip=1e9)
        kept, worse = dict(zip((0.005, 0.05), ((0.1, 1.1), (0.25, 1.6))))[share]
        assert rms(targets - truth, gross) < kept * rms(spoilt - truth, gross)
        assert rms(linear - truth, gross) > 1.4 * rms(targets - truth, gross)
        assert rms(targets - truth, ~gross) < worse * rms(clean - truth, ~gross)
        assert rms(linear - truth, ~gross) > worse * rms(clean - truth, ~gross)


def test_exact_annotations_of_most_are_not_clipped_to_nothing():
    truth, observed, found = errors_like_a_network(100)
    observed[:, 7] = found[:, 7]
    observed[:10, 7] += 0.05
    targets = consensus_targets(observed, found)
    assert targets.isfinite().all()
    assert (targets[10:, 7] - found[10:, 7]).abs().max() < 0.05


def test_a_handful_of_samples_does_not_move():
    for samples in (2, 3, 4):
        _, observed, found = errors_like_a_network(samples)
        moves = consensus_targets(observed, found) - observed
        assert moves.norm(dim=-1).mean() < 0.2 * 0.0707


@pytest.mark.parametrize("samples", [0, 1])
def test_fewer_than_two_samples_stay(samples):
    observed, found = torch.randn(2, samples, 5, 2)
    targets = consensus_targets(observed, found)
    assert torch.equal(targets, observed) and targets is not observed


def test_nothing_moves_where_no_correlation_is_known():
    _, observed, found = faces()
    targets = consensus_targets(observed, found, shrinkage=1.0, clip=1e9)
    torch.testing.assert_close(targets, observed)


def test_a_bias_of_the_network_does_not_move_targets():
    _, observed, found = faces()
    shifted = found + torch.tensor([0.5, -0.3], dtype=found.dtype)
    torch.testing.assert_close(
        consensus_targets(observed, found), consensus_targets(observed, shifted)
    )


def test_agreement_and_no_noise_keep_the_annotations():
    _, observed, found = faces()
    for p, share in ((observed, 0.9), (found, 0.0)):
        options = dict(curves=[CURVE], noise_share=share, clip=1e9)
        targets = consensus_targets(observed, p, **options)
        torch.testing.assert_close(targets, observed)


def test_landmarks_that_many_do_not_show():
    """Covariances over other samples for each pair need not fit together."""
    for seed in range(20):
        truth, observed, found = faces(50, seed=seed)
        rng = np.random.default_rng(seed)
        visible = torch.from_numpy(rng.random((50, 7)) < 0.6)
        targets = consensus_targets(observed, found, curves=[CURVE], visible=visible)
        assert targets.isfinite().all()
        assert rms(targets - truth, visible) < 1.05 * rms(observed - truth, visible)


def test_landmarks_that_nobody_shows_change_nothing():
    _, observed, found = faces(60)
    visible = torch.ones(60, 7)
    visible[:, 2] = 0
    visible[7, 4] = 0
    targets = consensus_targets(observed, found, visible=visible)
    others = [0, 1, 3, 4, 5, 6]
    without = consensus_targets(
        observed[:, others], found[:, others], visible=visible[:, others]
    )
    torch.testing.assert_close(targets[:, others], without)
    torch.testing.assert_close(targets[:, 2], observed[:, 2])


def test_invisible_landmarks_stay_and_count_nowhere():
    _, observed, found = faces(50)
    visible = torch.ones(50, 7)
    visible[::3, 2] = 0
    plain = consensus_targets(observed, found, curves=[CURVE], visible=visible)
    observed[::3, 2], found[::3, 2] = torch.nan, 1e6
    targets = consensus_targets(observed, found, curves=[CURVE], visible=visible)
    assert targets[::3, 2].isnan().all()
    shown = visible > 0
    torch.testing.assert_close(targets[shown], plain[shown])


def test_landmarks_never_searched_stay_and_count_nowhere():
    _, observed, found = faces(50)
    counts = torch.ones(50, 7)
    counts[::3, 2] = 0
    found[::3, 2] = observed[::3, 2]
    targets = consensus_targets(observed, found, counts=counts)
    expected = consensus_targets(observed, found, visible=counts)
    assert torch.equal(targets, expected)
    assert torch.equal(targets[::3, 2], observed[::3, 2])


ASSUMED = list(REGIMES)[:4]


@pytest.mark.parametrize("noise", [0.0, 1.0])
@pytest.mark.parametrize("regime", ASSUMED)
@pytest.mark.parametrize("own", [0.0, 1.0, 2.0])
def test_an_own_error_that_views_show_does_no_harm(own, regime, noise):
    observed, found, told = simulate(own, REGIMES[regime], noise, samples=400)
    former, *guarded = errors(observed, found, told)
    assert max(guarded) < noise + (0.05 if noise else 0.05 * own + 0.01)
    if own == 2 and noise == 0:
        assert former > 0.5  # or nothing has been guarded against
    if own == 0 and noise == 1:
        assert guarded[1] < 0.4  # or nothing is gained any more


@given(
    own=st.floats(0, 2),
    same=st.floats(0, 0.5),
    moved=st.sampled_from([0.0, 1.0]),
    noise=st.sampled_from([0.0, 1.0]),
    seed=st.integers(0, 2**31 - 1),
)
@settings(max_examples=15, deadline=None)
def test_targets_are_never_much_worse_than_annotations(own, same, moved, noise, seed):
    regime = same, 1 - same, moved
    drawn = simulate(own, regime, noise, samples=300, seed=seed)
    allowed = 0.05 if noise else 0.06 * own + 0.01
    assert max(errors(*drawn)[1:]) < noise + allowed


def test_an_unknown_spread_leaves_a_landmark_alone():
    observed, found, told = simulate(0.5, REGIMES[ASSUMED[1]], samples=200)
    spread, counts = told["spread"].clone(), told["counts"]
    spread[:, 3] = torch.nan
    targets = consensus_targets(observed, found, spread=spread, counts=counts)
    moved = (targets != observed).any(-1).any(0)
    assert moved.tolist() == [k != 3 for k in range(20)]
    first = consensus_targets(
        observed, found, spread=told["spread"], counts=torch.ones_like(counts)
    )
    assert torch.equal(first, observed)
    # Without counts: as of two views.
    torch.testing.assert_close(
        consensus_targets(observed, found, spread=told["spread"]),
        consensus_targets(
            observed, found, spread=told["spread"], counts=torch.full_like(counts, 2)
        ),
    )


def test_a_gross_error_is_not_taken_back_where_views_disagree():
    observed, found, told = simulate(0.3, REGIMES[ASSUMED[1]], samples=200)
    found[7, 4] += 9.0
    spread = told["spread"].clone()
    options = dict(counts=told["counts"])
    trusted = consensus_targets(observed, found, spread=spread, **options)
    spread[7, 4, :2] = 9.0
    doubted = consensus_targets(observed, found, spread=spread, **options)
    assert (trusted - observed)[7, 4].norm() > 5
    assert (doubted - observed)[7, 4].norm() < 2


def lone(covariance, k):
    """Return landmark ``k``'s covariance, the others given, by regression."""
    mine = [2 * k, 2 * k + 1]
    others = [i for i in range(len(covariance)) if i not in mine]
    weights = np.linalg.solve(
        covariance[np.ix_(others, others)], covariance[np.ix_(others, mine)]
    )
    return covariance[np.ix_(mine, mine)] - covariance[np.ix_(mine, others)] @ weights


def test_scatter_is_that_of_a_regression():
    rng = np.random.default_rng(0)
    apart = rng.standard_normal((20000, 1, 2)) + 0.3 * rng.standard_normal(
        (20000, 5, 2)
    )
    apart[..., 0] += 0.2 * apart[..., 1]
    together, halves = ViewScatter(5), [ViewScatter(5), ViewScatter(5)]
    counted = torch.ones(20000, 5, dtype=torch.bool)
    counted[:100, 2] = False
    together.update(torch.from_numpy(apart), counted)
    for half, rows in zip(halves, (slice(0, 300), slice(300, None))):
        half.update(torch.from_numpy(apart[rows]), counted[rows])
    halves[0].merge(halves[1])
    torch.testing.assert_close(halves[0].sums[3:], together.sums[3:])
    covariance = np.cov(apart[100:].reshape(-1, 10).T)
    for k, (everything, alone) in enumerate(together.covariance().numpy()):
        for (xx, yy, xy), expected in (
            (everything, covariance[2 * k : 2 * k + 2, 2 * k : 2 * k + 2]),
            (alone, lone(covariance, k)),
        ):
            np.testing.assert_allclose([[xx, xy], [xy, yy]], expected, rtol=0.03)


@pytest.mark.parametrize("views", [0, 1, 3])
def test_of_few_views_nothing_is_explained(views):
    scatter = ViewScatter(5)
    apart = torch.randn(views, 1, 2, dtype=torch.float64).expand(-1, 5, 2)
    scatter.update(apart, torch.ones(views, 5, dtype=torch.bool))
    everything, alone = scatter.covariance().unbind(1)
    assert (alone[:, :2] >= 0.5 * everything[:, :2]).all()


@pytest.mark.parametrize("hidden", [0.0, 0.2])
@pytest.mark.parametrize("gross", [0.0, 0.02])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equals_what_it_was(hidden, gross, dtype):
    truth, observed, found = errors_like_a_network(400, landmarks=20)
    rng = np.random.default_rng(0)
    visible = torch.from_numpy(rng.random((400, 20)) >= hidden)
    wrong = torch.from_numpy(rng.random((400, 20)) < gross)
    observed[wrong] += torch.from_numpy(rng.normal(0, 0.3, (int(wrong.sum()), 2)))
    # Given, as what is missed by shrinking is estimated otherwise now.
    options = dict(curves=[CURVE], sliding=[CURVE], visible=visible, shrinkage=0.1)
    former = former_consensus(observed, found, **options)
    targets = consensus_targets(observed.to(dtype), found.to(dtype), **options)
    assert (targets - former).abs().max() < (2e-3 if hidden else 1e-3)
    assert rms(targets - former) < 1e-4


@pytest.mark.parametrize("hidden", [0.0, 0.2])
def test_many_samples_are_read_in_chunks(monkeypatch, hidden):
    """The rounds look at some of the samples; the model is made of all."""
    module = importlib.import_module("semamb_mm.functional.consensus")
    monkeypatch.setattr(module, "_SAMPLE", 500)
    monkeypatch.setattr(module, "CHUNK", 300)
    truth, observed, found = errors_like_a_network(2000, landmarks=10)
    visible = torch.from_numpy(np.random.default_rng(0).random((2000, 10)) >= hidden)
    observed[~visible] = torch.nan
    targets = consensus_targets(observed, found, visible=visible)
    assert targets[~visible].isnan().all()
    former = former_consensus(observed, found, visible=visible)
    where = visible & (visible.sum(1, keepdim=True) >= 4)
    if not hidden:  # else the former rounds have not come to an end
        assert rms(targets - former, where) < 1e-3
    assert abs(rms(targets - truth, where) / rms(former - truth, where) - 1) < 0.01


def test_moments_of_parts_add_up():
    _, observed, found = errors_like_a_network(300, landmarks=6)
    rows = ConsensusRows(observed, found)
    options = ConsensusOptions()
    start = ConsensusModel.start(differences(rows, options), options)
    whole, parts = ConsensusMoments(start, 6), ConsensusMoments(start, 6)
    whole.update(rows)
    for part in (slice(0, 90), slice(90, 300)):
        other = ConsensusMoments(start, 6)
        other.update(rows.take(part))
        parts.merge(other)
    torch.testing.assert_close(parts.sums, whole.sums)
    torch.testing.assert_close(parts.solve().apply(rows), whole.solve().apply(rows))


def test_variances_of_annotators_and_network_are_told():
    observed, found, _ = simulate(0.5, (1.0, 0.0, 0.0), noise=0.8)
    rows = ConsensusRows(observed, found)
    written = torch.empty_like(observed)
    model = consensus_by_chunks(
        len(observed), rows.take, written.__setitem__, ConsensusOptions()
    )
    assert torch.equal(written, consensus_targets(observed, found))
    # Both axes; what the network errs by itself is taken for the annotator's.
    assert (model.annotators.mean() / (2 * 0.9 * (0.8**2 + 0.5**2)) - 1).abs() < 0.1
    assert (model.network.mean() / 2 - 1).abs() < 0.15


def test_samples_that_show_little_stay_and_count_nowhere():
    _, observed, found = faces(60)
    visible = torch.ones(60, 7)
    visible[:9, 3:] = 0
    found[:9] += 1e6
    targets = consensus_targets(observed, found, visible=visible)
    assert torch.equal(targets[:9], observed[:9])
    others = consensus_targets(observed[9:], found[9:])
    torch.testing.assert_close(targets[9:], others, rtol=0, atol=1e-4)


@given(
    samples=st.integers(2, 30),
    landmarks=st.integers(1, 8),
    seed=st.integers(0, 2**31 - 1),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
@settings(max_examples=40, deadline=None)
def test_any_data_gives_finite_targets_of_its_type(samples, landmarks, seed, dtype):
    generator = torch.Generator().manual_seed(seed)
    observed, found = torch.randn(
        2, samples, landmarks, 2, generator=generator, dtype=dtype
    )
    curves = [list(range(landmarks))] if landmarks > 1 else []
    targets = consensus_targets(observed, found, curves=curves, sliding=curves)
    assert targets.dtype == dtype and targets.isfinite().all()
    order = torch.randperm(samples, generator=generator)
    again = consensus_targets(
        observed[order], found[order], curves=curves, sliding=curves
    )
    torch.testing.assert_close(again, targets[order], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(found=torch.zeros(4, 3, 2)), "found must be"),
        (dict(observed=torch.zeros(10, 7)), "observed must be"),
        (dict(spread=torch.ones(10, 7)), "spread must be"),
        (dict(counts=torch.ones(10)), "counts must be"),
        (dict(network_share=-1), "network_share"),
        (dict(noise_share=1.5), "noise_share"),
        (dict(slide_share=1.0), "slide_share"),
        (dict(shrinkage=0), "shrinkage"),
        (dict(clip=0), "clip"),
        (dict(evidence="hearsay"), "evidence must be in"),
        (dict(visible=torch.ones(3)), "visible must be"),
        (dict(sliding=[[0, 1]]), "not among the curves"),
        (dict(curves=[[0, 99]]), "99"),
        (dict(found=torch.full((10, 7, 2), torch.nan)), "sample 0, landmark 0"),
    ],
)
def test_bad_arguments_are_named(change, message):
    _, observed, found = faces(10)
    arguments = dict(dict(observed=observed, found=found), **change)
    with pytest.raises(ValueError, match=message):
        consensus_targets(**arguments)
