import numpy as np
import pytest

from semamb_mm.audit.scores import THRESHOLD, suspicion


def annotated(samples=200, landmarks=12, seed=0):
    """A model that misjudges whole faces, annotators who slip now and then."""
    rng = np.random.default_rng(seed)
    truth = 20 * rng.standard_normal((1, landmarks, 2)) + 50
    truth = truth + rng.standard_normal((samples, 1, 2))
    ambiguity = np.linspace(0.2, 2, landmarks)[:, None]
    annotations = truth + ambiguity * rng.standard_normal(truth.shape)
    predictions = truth + 3 * rng.standard_normal((samples, 1, 2))
    predictions += 0.2 * rng.standard_normal(truth.shape)
    wrong = rng.random((samples, landmarks)) < 0.05
    angle = rng.uniform(0, 2 * np.pi, wrong.shape)
    slip = 30 * np.stack([np.cos(angle), np.sin(angle)], -1)
    return annotations + slip * wrong[..., None], predictions, wrong


@pytest.mark.parametrize("seed", range(3))
def test_slips_are_found_and_ambiguous_landmarks_are_not(seed):
    annotations, predictions, wrong = annotated(seed=seed)
    scores = suspicion(annotations, predictions, np.ones(wrong.shape))
    suspect = scores >= THRESHOLD
    assert suspect[wrong].mean() > 0.9
    assert wrong[suspect].mean() > 0.9
    usual = np.median(scores, 0)
    np.testing.assert_allclose(usual, usual.mean(), rtol=0.3)


def test_scores_do_not_depend_on_units_and_fall_with_confidence():
    annotations, predictions, wrong = annotated(50)
    confidence = np.ones(wrong.shape)
    scores = suspicion(annotations, predictions, confidence)
    np.testing.assert_allclose(
        suspicion(7 * annotations + 100, 7 * predictions + 100, confidence), scores
    )
    confidence[3] = 0.5
    faint = suspicion(annotations, predictions, confidence)
    np.testing.assert_allclose(faint[3], scores[3] / 2)
    np.testing.assert_allclose(faint[4:], scores[4:])


def test_one_landmark_does_not_tell_how_large_a_sample_is():
    annotations, predictions, wrong = annotated(50)
    annotations[4, 1:] = np.nan
    annotations[4, 0] = predictions[4, 0] + [0.1, 0.1]
    scores = suspicion(annotations, predictions, np.ones(wrong.shape))
    assert scores[4, 0] < THRESHOLD


def test_landmarks_that_are_not_annotated_have_no_score():
    annotations, predictions, wrong = annotated(50)
    annotations[5, 2] = np.nan
    annotations[:, 7] = np.nan
    scores = suspicion(annotations, predictions, np.ones(wrong.shape))
    assert np.isnan(scores[5, 2]) and np.isnan(scores[:, 7]).all()
    assert np.isfinite(np.delete(scores, 7, 1)[:5]).all()


@pytest.mark.parametrize(
    "change, message",
    [
        (dict(predictions=np.zeros((50, 12, 3))), "same faces"),
        (dict(predictions=np.full((50, 12, 2), np.nan)), "finite"),
        (dict(annotations=np.zeros((50, 12))), "must be"),
        (dict(annotations=np.full((50, 12, 2), np.nan)), "no landmark"),
    ],
)
def test_bad_arguments_are_named(change, message):
    annotations, predictions, wrong = annotated(50)
    arguments = dict(
        annotations=annotations, predictions=predictions, confidences=1.0 * ~wrong
    )
    with pytest.raises(ValueError, match=message):
        suspicion(**dict(arguments, **change))
    with pytest.raises(ValueError, match="10 at least"):
        suspicion(annotations[:5], predictions[:5], 1.0 * ~wrong[:5])
