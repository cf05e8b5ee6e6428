"""Annotators compared, on marks whose errors are known."""

import numpy as np
import pytest

from semamb_mm.formats.annotators import Opinions
from semamb_mm.pose.annotator_comparison import Comparison
from tests.trees.annotators import LANDMARKS, marks


def opinions(names=("anna", "ben", "net"), samples=150, offset=3.0, repeats=0):
    """Three observers; the last one shares ben's convention."""
    points = marks(names, samples, noise=0)
    rng = np.random.default_rng(1)
    if repeats:  # the first samples' pictures occur again as the last ones
        points[:, -repeats:] = points[:, :repeats]
    groups = np.arange(samples)
    groups[samples - repeats :] = groups[:repeats]
    deviation = np.array([1.0, 2.0, 1.5])[: len(names), None, None, None]
    points += deviation * rng.standard_normal(points.shape)
    points[1:, :, 2] += (offset, 0)
    images = [f"{i}.png" for i in range(samples)]
    return Opinions(list(names), list(LANDMARKS), images, images, groups, points)


def test_noise_and_conventions_with_intervals():
    """The truth lies within; the network is nearest to whose convention it has."""
    found = Comparison(opinions(), network=True)
    unit = float(np.mean(found.units))
    figures = found.summaries(resamples=40)
    for summary, deviation in zip(figures, (1.0, 2.0, 1.5)):
        value, low, high = summary.noise * unit / 2**0.5
        assert value == pytest.approx(deviation, rel=0.12)
        assert 0.95 * low <= deviation <= 1.05 * high and high < 1.4 * low
    apart = [float(summary.from_network[0]) * unit for summary in figures]
    assert apart[0] == pytest.approx(3 / 5**0.5, rel=0.2)
    assert apart[1] < 0.3 and apart[2] == 0
    assert found.people == 2 and found.mean_shape.shape == (5, 2)
    offsets, covariances = found.drawn()
    assert unit * (offsets[1, 2, 0] - offsets[0, 2, 0]) == pytest.approx(3, abs=0.6)
    variance = unit**2 * covariances[0].trace(axis1=1, axis2=2).mean() / 2
    assert variance == pytest.approx(1, rel=0.3)


def test_without_a_network_there_is_no_convention_to_follow():
    figures = Comparison(opinions(), network=False).summaries(resamples=3)
    assert all(summary.from_network is None for summary in figures)


def test_curves_turn_figures_but_not_pictures():
    """What is drawn is in x and y, whatever the axes."""
    plain, curved = (
        Comparison(opinions(), network=True, curves=curves).drawn()
        for curves in ([], [[0, 1, 3]])
    )
    for one, other in zip(plain, curved):
        assert np.abs(one - other).max() < 0.3 * np.abs(one).max()
    rows = list(Comparison(opinions(), True, [[0, 1, 3]]).landmark_rows())
    assert rows[0] != list(Comparison(opinions(), True).landmark_rows())[0]


def test_repeats_tell_an_observers_own_noise():
    """Of pictures that are in twice; nothing is known without."""
    found = Comparison(opinions(repeats=60), network=False)
    unit = float(np.mean(found.units))
    for (count, rms, noise), deviation in zip(found.repeats(), (1.0, 2.0, 1.5)):
        assert count == 300
        assert noise * unit == pytest.approx(deviation * 2**0.5, rel=0.15)
        assert rms == pytest.approx(noise * 2**0.5)
    counts = [part[0] for part in Comparison(opinions(), network=False).repeats()]
    assert counts == [0, 0, 0]


def test_tables_have_a_row_for_each_observer_pair_and_landmark():
    found = Comparison(opinions(), network=False)
    rows = list(found.landmark_rows())
    assert len(rows) == 15
    assert all(len(row) == len(found.LANDMARK_HEADER) for row in rows)
    pairs = list(found.pair_rows())
    assert len(pairs) == 15
    named = [dict(zip(found.PAIR_HEADER, row)) for row in pairs]
    row = next(r for r in named if r["second"] == "ben" and r["landmark"] == 2)
    unit = float(np.mean(found.units))
    assert float(row["bias_x"]) * unit / 100 == pytest.approx(-3, abs=0.6)
    width = float(row["high_x"]) - float(row["low_x"])
    assert width * unit / 100 == pytest.approx(2 * 1.96 * 5**0.5, rel=0.15)
    assert 0.5 < float(row["icc_y"]) < 1


def test_the_worst_picture_and_who_is_furthest():
    """A mark that is far from all others comes first; offsets do not count."""
    wrong = opinions(offset=10.0)
    wrong.points[1, 17, 4] += (40, 0)
    found = Comparison(wrong, network=False)
    row, score, observer, landmark = found.worst(3)[0]
    assert (row, observer, landmark) == (17, 1, 4)
    assert score > found.worst(3)[1][1] > 1
    assert len(found.worst(1000)) == 150


def test_one_observer_is_refused():
    with pytest.raises(ValueError, match=r"\['anna'\] alone: expected two"):
        Comparison(opinions().only("anna"), network=False)


def test_equal_pictures_alone_tell_no_interval():
    few = opinions(samples=12)
    few.groups[:] = np.arange(12) % 3
    for summary in Comparison(few, network=True).summaries(resamples=5):
        value, low, high = summary.noise.tolist()
        assert np.isfinite(value) and np.isnan(low) and np.isnan(high)
