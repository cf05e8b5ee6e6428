"""Observers' errors against loops, and on simulated ones whose errors are known."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.functional import (
    combine_annotations,
    combine_observers,
    consensus_targets,
    observer_errors,
)

SCALES = (0.5, 1.0, 2.0)


def observed(samples=400, landmarks=20, scales=SCALES, seed=0, vary=0.2):
    """Truth, what observers marked, their offsets and covariances.

    Each landmark has covariances of its own, those of different observers alike but for
    a factor that varies from landmark to landmark.
    """
    correlation = 0.6
    rng = torch.Generator().manual_seed(seed)
    observers = len(scales)

    def normal(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    deviation = 0.5 + torch.rand(landmarks, 2, generator=rng, dtype=torch.float64)
    deviation = deviation * torch.tensor(scales).view(-1, 1, 1)
    deviation = deviation * torch.exp(vary * normal(observers, landmarks, 1))
    offsets = 0.5 * normal(observers, landmarks, 2)
    offsets -= offsets.mean(0)
    errors = normal(observers, samples, landmarks, 2)
    x, y = errors.unbind(-1)
    y = correlation * x + (1 - correlation**2) ** 0.5 * y
    errors = torch.stack((x, y), -1) * deviation[:, None]
    truth = 30 * normal(samples, landmarks, 2)
    both = correlation * deviation.prod(-1, keepdim=True)
    covariances = torch.cat((deviation**2, both), -1)
    return truth, truth + offsets[:, None] + errors, offsets, covariances


def relative_error(found, real):
    """Frobenius norm of the errors of covariances ``(..., K, 3)`` over their own."""
    weight = torch.tensor([1.0, 1.0, 2.0])
    norm = lambda m: (m.square() * weight).sum((-2, -1)).sqrt()  # noqa: E731
    return norm(found - real) / norm(real)


def loop_of_three(points):
    """Grubbs 1948 for the third of three observers, landmark by landmark."""
    one, two, three = points.numpy()
    found = np.zeros((points.shape[2], 3))
    for k in range(points.shape[2]):
        c = {
            name: np.cov((a[:, k] - b[:, k]).T)
            for name, a, b in (
                ("12", one, two),
                ("13", one, three),
                ("23", two, three),
            )
        }
        s = (c["13"] + c["23"] - c["12"]) / 2
        found[k] = s[0, 0], s[1, 1], s[0, 1]
    return found


def test_equals_the_three_cornered_hat():
    """Of three observers with everything, as the formula says."""
    _, points, _, _ = observed(samples=50, scales=(1.0, 1.0, 3.0))
    errors = observer_errors(points, network=True, clip=1e9)
    expected = loop_of_three(points)
    np.testing.assert_allclose(errors.covariances[2], expected, rtol=1e-9)
    mean = points.mean(1)
    expected = mean - mean[:2].mean(0)
    np.testing.assert_allclose(errors.offsets[2], expected[2], rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("scales", "vary"), [(SCALES, 0.0), ((1.0, 1.0, 1.0, 1.0), 0.2)]
)
def test_covariances_of_300_samples_are_known_to_15_percent(seed, scales, vary):
    """Of each observer over all landmarks; and its scale."""
    _, points, offsets, real = observed(300, 68, scales, seed, vary)
    errors = observer_errors(points)
    assert relative_error(errors.covariances, real).max() < 0.15
    ratio = errors.variances.sum(1) / real[..., :2].sum((1, 2))
    assert (ratio - 1).abs().max() < 0.1
    assert errors.identified.all()
    away = (errors.offsets - offsets).square().mean((1, 2)).sqrt()
    assert (away < 0.15 * real[..., :2].mean((1, 2)).sqrt().mean()).all()


def test_recovery_within_the_stated_intervals():
    """The truth is within 1.96 standard errors in about 95 % of the cases."""
    inside = []
    for seed in range(4):
        _, points, offsets, real = observed(150, 30, (1.0, 1.2, 0.8), seed)
        errors = observer_errors(points, network=True, clip=1e9)
        reference = offsets - offsets[:2].mean(0)
        away = (errors.offsets - reference)[2].abs() / errors.offset_errors[2]
        inside.append(away.flatten() < 1.96)
        away = (errors.covariances - real)[2].abs() / errors.covariance_errors[2]
        inside.append(away.flatten() < 1.96)
    share = torch.cat(inside).double().mean()
    assert 0.91 < share < 0.98


def test_landmarks_on_curves_are_told_along_and_across():
    """Whatever the direction of a sample's curve."""
    rng = np.random.default_rng(0)
    turn = rng.uniform(0, 2 * np.pi, (400, 1))
    tangent = np.stack((np.cos(turn), np.sin(turn)), -1)
    normal = np.stack((-np.sin(turn), np.cos(turn)), -1)
    truth = 10 * np.arange(6)[:, None] * tangent
    along, across = 0.5 * rng.standard_normal((2, 3, 400, 6, 1)) * [[[[[1]]]]]
    points = truth + along * tangent + 0.2 * across * normal
    errors = observer_errors(torch.from_numpy(points), curves=[list(range(6))])
    ratio = (errors.covariances[..., 0] / errors.covariances[..., 1]).sqrt()
    assert ratio.mean() == pytest.approx(5, rel=0.1)
    assert errors.covariances[..., 2].abs().max() < 0.05


def test_two_observers_share_their_differences():
    """Half of the variance each (Dahlberg), and said not to be identified."""
    _, points, _, _ = observed(scales=(1.0, 3.0))
    errors = observer_errors(points, clip=1e9)
    difference = (points[0] - points[1]).var(0)
    expected = difference.sum(-1) / 2
    for found in errors.variances:
        assert torch.allclose(found, expected, rtol=1e-6)
    assert not errors.identified.any()


def test_of_one_observer_nothing_is_known():
    """Zeros, and what it said is what is said."""
    _, points, _, _ = observed(scales=(1.0,))
    errors = observer_errors(points)
    for name in ("offsets", "covariances", "common", "counts"):
        assert getattr(errors, name).abs().max() < 1e-20, name
    assert not errors.identified.any()
    combined, covariance = combine_observers(points, None, errors)
    assert torch.allclose(combined, points[0])
    assert covariance.max() < 1e-12


def test_two_that_copied_each_other_are_one():
    """The same figures, as if the copy were not there."""
    _, points, _, _ = observed(scales=(1.0, 1.0, 2.0))
    copied = torch.stack((points[0], points[1], points[0], points[2]))
    copied[2, :9] += 0.1
    errors, alone = observer_errors(copied), observer_errors(points)
    assert errors.same_as.tolist() == [0, 1, 0, 3]
    for name in ("covariances", "offsets", "common"):
        found, expected = getattr(errors, name), getattr(alone, name)
        assert torch.allclose(found[[0, 1, 3]], expected), name
        assert torch.equal(found[2], found[0]), name
    combined, _ = combine_observers(copied, None, errors)
    expected, _ = combine_observers(points, None, alone)
    assert torch.allclose(combined, expected)


def test_a_copy_and_a_network_are_two():
    """So nobody's error is identified, though there are three columns of numbers."""
    _, points, _, _ = observed(scales=(1.0, 2.0))
    copied = torch.stack((points[0], points[0], points[1]))
    errors = observer_errors(copied, network=True)
    assert not errors.identified.any()
    assert torch.equal(errors.covariances[0], errors.covariances[1])


def test_those_who_share_too_little_are_not_identified():
    """Two who marked different samples, and a network that saw both: no odd cycle."""
    _, points, _, _ = observed(scales=(1.0, 1.0, 1.0))
    visible = torch.ones(points.shape[:3])
    visible[0, :200] = visible[1, 200:] = 0
    errors = observer_errors(points, visible, network=True)
    assert not errors.identified.any()
    visible[1, 200:260] = 1
    assert observer_errors(points, visible, network=True).identified.all()


def test_an_observer_with_few_samples_is_shrunk():
    """Nearer to the truth than by itself, and the pooled one where it has none."""
    worse = []
    for seed in range(4):
        _, points, _, real = observed(400, 30, (1.0, 1.0, 1.0, 1.0), seed)
        visible = torch.ones(points.shape[:3])
        visible[3, 8:] = 0
        visible[3, :, 0] = 0
        errors = observer_errors(points, visible)
        few = relative_error(errors.covariances[3], real[3])
        alone = observer_errors(points[:, :8], network=True, clip=1e9)
        worse.append(relative_error(alone.covariances[3], real[3]) / few)
        assert few < 0.4
        assert errors.counts[3].tolist() == [0] + [8] * 29
        assert errors.covariances[3, 0, :2].min() > 0
        assert not errors.offsets[3, 0].any()
        assert relative_error(errors.covariances[:3], real[:3]).max() < 0.2
    assert np.mean(worse) > 1.5


def test_a_shift_of_the_whole_sample_is_told():
    """The share of one observer alone, the network's for instance."""
    _, points, _, real = observed(800, scales=(1.0, 1.0, 1.0))
    rng = torch.Generator().manual_seed(1)
    points[2] += torch.randn(800, 1, 2, generator=rng)
    errors = observer_errors(points, network=True)
    assert errors.common[2] == pytest.approx(1, rel=0.2)
    assert errors.common[:2].max() < 0.1
    expected = 1 / (1 + real[2, :, :2].mean())
    assert errors.common_shares[2] == pytest.approx(float(expected), rel=0.2)


def test_who_never_errs_has_no_negative_variance():
    """Though estimates are, at some landmarks."""
    _, points, _, _ = observed(40, scales=(1e-6, 1.0, 1.0))
    errors = observer_errors(points[[1, 2, 0]], network=True)
    assert errors.negative[2].any()
    full = torch.stack(
        (errors.covariances[..., [0, 2]], errors.covariances[..., [2, 1]]), -2
    )
    assert torch.linalg.eigvalsh(full).min() > -1e-9


def test_gross_errors_do_not_count_as_noise():
    """Nor do they move what the others say."""
    truth, points, _, real = observed(scales=(1.0, 1.0, 1.0))
    clean, _ = combine_observers(points, None, observer_errors(points))
    rng = torch.Generator().manual_seed(1)
    gross = torch.rand(points.shape[1:3], generator=rng) < 0.05
    who = torch.randint(3, gross.shape, generator=rng)
    points += 30 * (gross & (who == torch.arange(3)[:, None, None]))[..., None]
    errors = observer_errors(points)
    assert (errors.variances.mean(1) / real[..., :2].sum(-1).mean(1)).max() < 1.5
    combined, _ = combine_observers(points, None, errors)
    rms = lambda t: (t - truth).square().mean().sqrt()  # noqa: E731
    assert rms(combined) < 1.25 * rms(clean)
    assert rms(points.mean(0)) > 2 * rms(clean)


def test_equals_the_weighted_mean_by_a_loop():
    """Inverse covariances, offsets out, whoever is there."""
    _, points, _, _ = observed(60, 5)
    visible = torch.rand(points.shape[:3], generator=torch.Generator()) < 0.7
    errors = observer_errors(points, visible)
    combined, covariance = combine_observers(points, visible, errors, clip=1e9)
    least = 0.01 * errors.covariances.mean(0)
    for i in range(60):
        for k in range(5):
            total, mean = np.zeros((2, 2)), np.zeros(2)
            for m in range(3):
                if visible[m, i, k]:
                    xx, yy, xy = (errors.covariances[m, k] + least[k]).tolist()
                    weight = np.linalg.inv([[xx, xy], [xy, yy]])
                    total += weight
                    mean += weight @ (points[m, i, k] - errors.offsets[m, k]).numpy()
            if not visible[:, i, k].any():
                assert torch.equal(combined[i, k], points[0, i, k])
                assert not covariance[i, k].any()
                continue
            spread = np.linalg.inv(total)
            np.testing.assert_allclose(combined[i, k], spread @ mean, rtol=1e-6)
            xx, yy, xy = covariance[i, k].tolist()
            np.testing.assert_allclose([[xx, xy], [xy, yy]], spread, rtol=1e-6)


@settings(deadline=None, max_examples=25)
@given(
    order=st.permutations(range(4)),
    move=st.tuples(st.floats(-50, 50), st.floats(-50, 50)),
    factor=st.floats(0.01, 100),
    seed=st.integers(0, 5),
    missing=st.booleans(),
)
def test_order_place_and_unit_make_no_difference(order, move, factor, seed, missing):
    """Figures change as the observers, the origin and the unit do."""
    order = list(order)
    _, points, _, _ = observed(31, 4, (1.0, 1.0, 1.5, 2.0), seed)
    visible = torch.ones(points.shape[:3])
    if missing:
        keep = torch.rand(visible.shape, generator=torch.Generator().manual_seed(seed))
        visible = (keep > 0.3).double()
    errors = observer_errors(points, visible, curves=[[0, 1, 2]])
    changed = factor * (points[order] + torch.tensor(move))
    moved = observer_errors(changed, visible[order], curves=[[0, 1, 2]])
    close = dict(rtol=1e-4, atol=1e-7 * factor**2)
    assert torch.allclose(moved.offsets, factor * errors.offsets[order], **close)
    expected = factor**2 * errors.covariances[order]
    assert torch.allclose(moved.covariances, expected, **close)
    assert torch.allclose(moved.common, factor**2 * errors.common[order], **close)
    assert torch.equal(moved.identified, errors.identified[order])


@settings(deadline=None, max_examples=25)
@given(
    observers=st.integers(1, 4),
    samples=st.integers(0, 12),
    landmarks=st.integers(1, 4),
    seed=st.integers(0, 100),
    whole=st.booleans(),
)
def test_any_data_gives_finite_figures(observers, samples, landmarks, seed, whole):
    """Also of no samples, of equal observers, and of what nobody saw."""
    rng = torch.Generator().manual_seed(seed)
    shape = observers, samples, landmarks
    points = torch.randn(*shape, 2, generator=rng)
    if whole:  # so that many are equal
        points = points.round()
    visible = torch.rand(shape, generator=rng) < 0.6
    points[~visible] = torch.nan
    for network in (False, True)[: 1 if observers == 1 else 2]:
        errors = observer_errors(points, network=network)
        for name, value in errors._asdict().items():
            assert torch.isfinite(value).all(), name
        assert (errors.variances >= 0).all()
        combined, covariance = combine_observers(points, None, errors, network=network)
        people = visible[: observers - network].any(0)
        assert torch.isfinite(combined[people]).all()
        assert torch.isfinite(covariance).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(points=torch.zeros(3, 4, 2)), r"points must be \(M, N, K, 2\)"),
        (dict(visible=torch.ones(3, 2)), r"visible must be \(3, 5, 4\)"),
        (dict(clip=0.0), "clip must be positive"),
        (
            dict(visible=torch.ones(3, 5, 4), hole=True),
            "observer 1, sample 2, landmark 3.*must be finite",
        ),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    points = arguments.pop("points", torch.zeros(3, 5, 4, 2))
    if arguments.pop("hole", False):
        points[1, 2, 3] = torch.nan
    with pytest.raises(ValueError, match=message):
        observer_errors(points, **arguments)


# Targets of several annotators


def network_of(truth, seed=9, deviation=0.8):
    """What a network finds: mostly one error a sample."""
    rng = torch.Generator().manual_seed(seed)
    samples, landmarks, _ = truth.shape
    mixing = torch.randn(3, landmarks, generator=rng, dtype=torch.float64)
    found = torch.randn(samples, 2, 3, generator=rng, dtype=torch.float64) @ mixing
    return truth + deviation / 3**0.5 * found.mT


def rms(errors):
    return float(errors.square().sum(-1).mean().sqrt())


@pytest.mark.parametrize("hidden", [False, True])
def test_one_annotator_gives_what_it_gave(hidden):
    """To the bit, with every option."""
    truth, points, _, _ = observed(scales=(1.0,))
    found = network_of(truth)
    visible = torch.ones(points.shape[:3])
    if hidden:
        visible[0, ::3, 2] = 0
    spread = torch.rand(*truth.shape[:2], 3, generator=torch.Generator())
    for options in (dict(), dict(spread=spread, counts=visible[0] + 1)):
        expected = consensus_targets(points[0], found, visible=visible[0], **options)
        several = consensus_targets(points, found, visible=visible, **options)
        assert torch.equal(several, expected)


@pytest.mark.parametrize("scales", [SCALES, (0.7, 1.4)])
def test_targets_of_several_are_better_than_their_mean(scales):
    """And than what they say together without the network."""
    truth, points, _, _ = observed(scales=scales)
    targets = consensus_targets(points, network_of(truth))
    combined, noise, errors = combine_annotations(points, network_of(truth))
    assert len(errors.offsets) == 3
    assert rms(combined - truth) < 0.9 * rms(points.mean(0) - truth)
    assert rms(targets - truth) < 0.8 * rms(combined - truth)
    assert noise[..., :2].sum(-1).mean().sqrt() == pytest.approx(
        rms(combined - truth), rel=0.1
    )


def test_fewer_annotators_mean_more_doubt():
    """A sample that one annotator alone has seen moves further than the others do."""
    truth, points, _, _ = observed(600, scales=(1.0, 1.0, 1.0))
    found = network_of(truth, deviation=0.5)
    visible = torch.ones(points.shape[:3])
    visible[1:, ::2] = 0
    targets = consensus_targets(points, found, visible=visible)
    once, thrice = (targets - truth)[::2], (targets - truth)[1::2]
    plain = rms((points[0] - truth)[::2])
    assert rms(thrice) < rms(once) < 0.6 * plain
    # As good as if all samples had one annotator.
    alone = consensus_targets(points[:1, ::2], found[::2])
    assert rms(once) < 1.05 * rms(alone - truth[::2])


def test_who_is_not_there_does_not_matter():
    """What stands at missing annotations, and at landmarks never searched."""
    truth, points, _, _ = observed(100)
    found = network_of(truth)
    visible = torch.rand(points.shape[:3], generator=torch.Generator()) < 0.8
    counts = torch.ones(truth.shape[:2])
    counts[::7, 1] = 0
    expected = consensus_targets(points, found, visible=visible, counts=counts)
    points[~visible] = torch.nan
    found[counts == 0] = 1e6
    targets = consensus_targets(points, found, visible=visible, counts=counts)
    anybody = visible.any(0)
    assert torch.equal(targets[anybody], expected[anybody])
