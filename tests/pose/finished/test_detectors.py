"""Which of two detectors errs less, by noisy annotations."""

import pytest
import torch

from semamb_mm.audit.advice import Estimate
from semamb_mm.pose.finished.detectors import Difference, compare_detectors, verdict

K = 4
REGIONS = dict(left=[0, 1], right=[2, 3], all=[0, 1, 2, 3])


def faces(noise, errors, number, seed=0):
    """Return two predictions and annotations whose errors have these deviations."""
    generator = torch.Generator().manual_seed(seed)
    truth = 100 * torch.rand(number, K, 2, generator=generator, dtype=torch.float64)

    def off(deviation):
        deviation = torch.as_tensor(deviation, dtype=torch.float64).reshape(-1, 1)
        return truth + deviation * torch.randn(
            number, K, 2, generator=generator, dtype=torch.float64
        )

    return [off(error) for error in errors], off(noise)


def compared(predictions, annotations, seen=None, groups=None, resamples=50):
    number = len(annotations)
    seen = torch.ones(number, K, dtype=torch.bool) if seen is None else seen
    groups = torch.arange(number) if groups is None else groups
    units = torch.full((number,), 10.0, dtype=torch.float64)
    given = (predictions, annotations, seen, units, groups, REGIONS)
    return compare_detectors(*given, resamples=resamples)


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_noise_of_annotations_leaves_the_difference(noise):
    found = compared(*faces(noise, ([2.0] * 4, [1.0, 1.0, 3.0, 3.0]), 4000))
    for name, second in dict(left=1, right=3).items():
        mean = 2 * (noise**2 + 4) / 100
        assert found[name].first == pytest.approx(mean**0.5, rel=0.05)
        apart = found[name].change.value * found[name].first ** 2
        assert apart == pytest.approx(2 * (second**2 - 4) / 100, rel=0.12)
    assert found["left"].better and found["right"].worse
    assert not (found["left"].worse or found["right"].better)


def test_equal_detectors_are_seldom_told_apart():
    equal = ([1.0] * 4, [1.0] * 4)
    wrong = 0
    for seed in range(40):
        found = compared(*faces(1.0, equal, 200, seed), resamples=200)["all"]
        wrong += found.better or found.worse
    # 1 in 20 is meant; 8 of 40 would come by chance once in a thousand times.
    assert wrong < 8


def test_samples_of_one_group_are_one():
    predictions, annotations = faces(1.0, ([1.0] * 4, [0.9] * 4), 20)
    many = [part.repeat(20, 1, 1) for part in (*predictions, annotations)]
    alone, together = (
        compared(many[:2], many[2], groups=groups)["all"].change
        for groups in (torch.arange(400), torch.arange(20).repeat(20))
    )
    assert alone.value == pytest.approx(together.value)
    # Twenty copies of each know as much as one.
    assert together.high - together.low > 3 * (alone.high - alone.low)


def test_what_is_not_annotated_does_not_count():
    seen = torch.ones(400, K, dtype=torch.bool)
    seen[:, :2] = False
    found = compared(*faces(1.0, ([2.0] * 4, [1.0, 1.0, 3.0, 3.0]), 400), seen)
    assert set(found) == {"right", "all"}
    assert found["all"].first == found["right"].first


def test_the_second_must_be_certainly_nearer():
    nearer, unsure, farther = (
        Difference(1.0, 1.0, Estimate(value, value - 0.02, value + 0.02))
        for value in (-0.03, -0.01, 0.03)
    )
    assert verdict(nearer, {}).startswith("Keep the second: it is certainly nearer (-5")
    assert verdict(unsure, {}).startswith("Keep the first: the second is not certainly")
    assert "certainly farther away (+1.0 to +5.0 %)" in verdict(farther, {})
    text = verdict(nearer, dict(eyes=farther, nose=unsure))
    assert "farther away at eyes: freeze these, LatentTargetHook(freeze=" in text
    assert "freeze" not in verdict(unsure, dict(eyes=farther))
