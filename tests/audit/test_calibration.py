"""How many suspects are wrong: the estimate, and what it is made of."""

from dataclasses import replace

import numpy as np
import pytest

from semamb_mm.audit import calibration, decide
from semamb_mm.audit.calibration import Calibration, Odds, Scores, plant_slips

from .data_sets import faces


@pytest.mark.parametrize("seed", range(3))
def test_failures_of_the_detector_are_no_suspects(seed):
    data = faces(failing=0.03, seed=seed)
    audit = decide(*data.arrays)
    assert data.failed.sum() > 100
    assert audit.suspects.sum() == 0 and np.isinf(audit.threshold)
    assert audit.precision is None and np.isnan(audit.precisions).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("wrong", [0.01, 0.05])
def test_the_true_precision_lies_in_the_interval(wrong, seed):
    data = faces(wrong=wrong, seed=seed)
    audit = decide(*data.arrays)
    true = data.wrong[audit.suspects].mean()
    assert audit.suspects[data.wrong].mean() > 0.7
    assert audit.precision.low <= true <= audit.precision.high
    assert audit.precision.value >= audit.wanted == 0.8
    for share in (0.001, 0.01, 0.1):
        scores = np.where(audit.calibration.used, audit.scores, -np.inf)
        threshold = np.quantile(scores, 1 - share)
        true = data.wrong[scores >= threshold].mean()
        found = audit.calibration.precision(threshold)
        assert found.low - 0.05 <= true <= found.high + 0.05


def test_a_higher_wanted_precision_gives_fewer_suspects():
    data = faces(wrong=0.01)
    loose, strict = (decide(*data.arrays, precision=p).suspects for p in (0.5, 0.95))
    assert strict.sum() < loose.sum()
    assert not (strict & ~loose).any()


def test_the_share_of_false_alarms_is_taken_from_lower_scores():
    """A third of the mirrored scores at every level, and five wrong ones on top."""
    given = np.repeat(np.linspace(-3, 5, 200), 1)
    mirrored = np.repeat(np.linspace(-3, 5, 200), 3)
    scores = np.r_[given, np.full(5, 9.0), np.full(len(mirrored) - len(given) - 5, -9)]
    planted = np.linspace(0, 10, 100)
    lengths = np.full(100, 0.1)
    table = Scores(scores[:, None], mirrored[:, None], planted, lengths)
    found = Calibration(table, np.ones((len(mirrored), 1), bool))
    false, most = found._false_alarms(4.0)
    assert false == pytest.approx((given >= 4).sum(), rel=0.2)
    assert most > false
    assert found.precision(8.0).value > 0.8
    assert found.precision(99.0) == calibration.Precision(0, 0, 1)
    assert found.recall(5.0) == pytest.approx(0.5)
    assert found.recall(5.0, shortest=0.2) == 0


def test_ratios_that_rise_are_pooled():
    assert calibration._falling([9, 4, 1], [10, 10, 10]) == (1, 10)
    assert calibration._falling([9, 1, 4], [10, 10, 10]) == (5, 20)
    assert calibration._falling([1, 4, 9], [10, 10, 10]) == (14, 30)


@pytest.mark.parametrize(
    "count, low, high", [(0, 0, 2.9957), (5, 1.9701, 10.5130), (40, 30.1965, 52.0694)]
)
def test_limits_of_a_poisson_mean(count, low, high):
    """Against the exact ones: quantiles of chi-square."""
    assert calibration._poisson_low(count) == pytest.approx(low, rel=0.02)
    assert calibration._poisson_high(count) == pytest.approx(high, rel=0.02)


def test_odds_are_those_of_two_normal_distributions():
    rng = np.random.default_rng(0)
    given, planted = rng.standard_normal((20_000, 2)), rng.standard_normal((5_000, 2))
    planted += [1.0, 0.0]
    odds = Odds(planted, given)
    points = np.array([[0.5, 0.0], [1.5, 0.0], [0.5, 1.0]])
    # The logarithm of the ratio of the densities is x - 1/2.
    np.testing.assert_allclose(odds(points), [0, 1, 0], atol=0.06)


def test_planted_slips_are_as_long_as_they_say():
    data = faces(50)
    where = np.ones(data.wrong.shape, bool)
    where[:, 3] = False
    sizes = np.linspace(50, 100, 50)
    rng = np.random.default_rng(0)
    moved, chosen, lengths = plant_slips(data.annotations, sizes, where, rng)
    distance = np.linalg.norm(moved - data.annotations, axis=-1) / sizes[:, None]
    assert chosen.any() and not chosen[:, 3].any()
    np.testing.assert_allclose(distance, np.where(chosen, lengths, 0), atol=1e-9)
    low, high = calibration.SLIPS
    assert low <= lengths.min() and lengths.max() <= high
    only = np.zeros_like(where)
    only[7, 2] = True
    assert plant_slips(data.annotations, sizes, only, rng)[1][7, 2]


def persistent_scores(seed, videos=20, frames=60, landmarks=3, length=30):
    """Right annotations of videos: what is odd stays odd for a stretch of frames.

    Annotations and predictions are odd equally often, in other places.
    """
    rng = np.random.default_rng(seed)
    tables = []
    for _ in range(2):
        table = rng.normal(-3, 1, (videos, frames, landmarks))
        for video, landmark in zip(*np.nonzero(rng.random((videos, landmarks)) < 0.2)):
            first = rng.integers(frames - length)
            level = rng.uniform(0, 6)
            stretch = slice(first, first + length)
            table[video, stretch, landmark] = level + rng.normal(0, 0.5, length)
        tables.append(table.reshape(-1, landmarks))
    table = Scores(*tables, np.linspace(-5, 10, 100), np.full(100, 0.1))
    return table, np.repeat(np.arange(videos), frames)


def test_frames_of_a_video_are_no_independent_evidence():
    """The interval holds where errors persist; by single frames it would not."""
    held = {"videos": 0, "frames": 0}
    for seed in range(40):
        scores, videos = persistent_scores(seed)
        used = np.ones(scores.given.shape, bool)
        for name, groups in (("videos", videos), ("frames", None)):
            low = Calibration(scores, used, groups).precision(3.0).low
            held[name] += low == 0  # no annotation is wrong
    assert held["videos"] >= 36
    assert held["frames"] < 32


def test_samples_that_are_groups_of_their_own_are_judged_as_without_groups():
    data = faces(wrong=0.03)
    alone = decide(*data.arrays)
    named = decide(*data.arrays, groups=[f"person {i}" for i in range(300)])
    assert vars(alone.precision) == vars(named.precision)
    np.testing.assert_array_equal(alone.suspects, named.suspects)
    of_ten = replace(alone.calibration, groups=np.arange(300) // 30)
    assert of_ten.precision(alone.threshold).low < alone.precision.low
    with pytest.raises(ValueError, match="2 groups of 300 samples"):
        decide(*data.arrays, groups=["a", "b"])
