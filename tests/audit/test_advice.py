import pytest

from semamb_mm.audit.advice import Estimate, advise, sentence, to_freeze


def estimate(value, low=None, high=None):
    return Estimate(value, value if low is None else low, high or value)


@pytest.mark.parametrize(
    ("ratio", "targets", "detector", "expected"),
    [
        (0.5, estimate(0.0), 0.2, "leave it"),
        (1.0, estimate(0.0, high=0.01), 0.2, "leave it"),
        # Few pictures: a gain is neither certain nor ruled out.
        (1.0, estimate(0.3, low=0.01), 0.2, "try it"),
        (0.5, estimate(0.07, low=0.0), 0.008, "try it"),
        (1.0, estimate(0.3), 0.005, "targets only"),
        (0.95, estimate(0.3), 0.015, "in-sample"),
        (0.85, estimate(0.3), 0.08, "restart"),
        (0.5, estimate(0.3), 0.08, "cross-fit"),
        (0.5, estimate(0.3), 0.02, "cross-fit"),
    ],
)
def test_advice(ratio, targets, detector, expected):
    advice = advise(estimate(ratio), targets, estimate(detector))
    assert advice == expected
    assert sentence(advice).startswith(f"Advice: {expected}; ")


def test_landmarks_without_noise_are_to_be_frozen():
    gains = [estimate(0.3, low=0.1), estimate(0.2, low=0.0), estimate(0.0)]
    names = to_freeze(gains, ["chin", "nose", "eye"])
    assert names == ["nose", "eye"]
    assert "Freeze nose, eye: no noise" in sentence("restart", names)
    assert "Freeze" not in sentence("leave it", names)
    # Of which nothing is certain, either.
    assert "Freeze" not in sentence("try it", names)
