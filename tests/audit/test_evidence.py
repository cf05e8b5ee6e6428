"""What speaks for and against annotations."""

import numpy as np
import pytest

from semamb_mm.audit.evidence import Evidence

from .data_sets import faces


def evidence_of(data, annotations=None, spread=None):
    given = data.annotations if annotations is None else annotations
    return Evidence(given, data.points, data.confidences, spread)


def test_a_slip_is_odd_in_the_annotations_and_a_failure_in_the_predictions():
    data = faces(wrong=0.01, failing=0.01)
    evidence = evidence_of(data)
    found = evidence(data.annotations)
    slip, failure = data.wrong & ~data.failed, data.failed & ~data.wrong
    for measured in (found.unexplained, found.distance):
        assert np.median(measured[slip]) > 5 and np.median(measured[failure]) > 5
    assert np.median(found.shape[slip]) > 5 > 2 > np.median(found.shape[failure])
    assert np.median(found.mirror[failure]) > 5 > 2.5 > np.median(found.mirror[slip])
    usual = ~data.wrong & ~data.failed
    assert np.median(found.distance[usual]) == pytest.approx(1.18, abs=0.1)


def test_in_the_mirror_annotation_and_prediction_trade_places():
    data = faces(wrong=0.02)
    evidence = evidence_of(data)
    measured = evidence(data.annotations)
    seen = evidence.features(measured)
    mirrored = evidence.features(measured, mirrored=True)
    np.testing.assert_array_equal(seen[..., 2], mirrored[..., 3])
    np.testing.assert_array_equal(seen[..., 3], mirrored[..., 2])
    for same in (0, 1, 6, 7, 8, 9):
        np.testing.assert_array_equal(seen[..., same], mirrored[..., same])


def test_units_and_place_do_not_matter():
    data = faces(50, wrong=0.02)
    spread = np.random.default_rng(0).uniform(0.5, 2, data.wrong.shape)
    features = []
    for scale, shift in ((1, 0), (7, 300)):
        evidence = Evidence(
            scale * data.annotations + shift,
            scale * data.points + shift,
            data.confidences,
            scale * spread,
        )
        measured = evidence(scale * data.annotations + shift)
        features.append(evidence.features(measured))
    np.testing.assert_allclose(*features, atol=1e-6)


def test_hidden_landmarks_are_not_measured_and_do_not_disturb():
    data = faces(200)
    annotations = data.annotations.copy()
    annotations[:, 5] = np.nan
    annotations[3, 7:] = np.nan
    evidence = evidence_of(data, annotations)
    found = evidence(annotations)
    known = np.isfinite(annotations).all(-1)
    for measured in vars(found).values():
        assert np.isfinite(measured[known]).all() and np.isnan(measured[~known]).all()
    assert np.isfinite(evidence.features(found)[known]).all()


def test_views_that_disagree_are_told_from_usual_ones():
    data = faces(50)
    spread = np.ones(data.wrong.shape)
    spread[4, 2] = 10
    unsteady = evidence_of(data, spread=spread).unsteady
    assert unsteady[4, 2] > 7 and np.median(unsteady) == pytest.approx(1, abs=0.05)
    assert (evidence_of(data).unsteady == 1).all()
