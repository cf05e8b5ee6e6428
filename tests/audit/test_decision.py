import numpy as np
import pytest

from semamb_mm.audit import decide

from .test_scores import annotated


@pytest.fixture
def arrays():
    annotations, predictions, wrong = annotated(50)
    confidences = np.where(wrong, 0.8, 1.0)
    return [f"face{i}" for i in range(50)], annotations, predictions, confidences


def test_suspects_get_the_prediction_and_none_lies_outside(arrays):
    keys, annotations, predictions, _ = arrays
    confidences = np.ones(annotations.shape[:2])
    found = decide(keys, annotations, predictions, confidences, threshold=1)
    assert 0 < found.suspects.sum() < found.suspects.size
    expected = np.where(found.suspects[..., None], predictions, annotations)
    np.testing.assert_array_equal(found.labels, expected)
    inside = np.ones(annotations.shape[:2], bool)
    i, k = np.argwhere(found.suspects)[0]
    inside[i, k] = False
    outside = decide(
        keys, annotations, predictions, confidences, inside=inside, threshold=1
    )
    assert not outside.suspects[i, k]
    assert outside.reasons[i, k] == "detector is unsure"
    np.testing.assert_array_equal(outside.labels[i, k], annotations[i, k])


def test_every_suspect_has_a_reason_and_a_precision(arrays):
    found = decide(*arrays, threshold=1)
    named = (found.reasons != "") & ~found.unsure
    np.testing.assert_array_equal(named, found.suspects)
    np.testing.assert_array_equal(np.isfinite(found.precisions), found.suspects)
    worst_first = found.precisions[found.suspects][
        np.argsort(-found.scores[found.suspects])
    ]
    assert (np.diff(worst_first) <= 0).all() and worst_first[0] >= found.wanted
    assert sum(found.counts().values()) == (found.reasons != "").sum()
    assert found.counts()["wrong label"] == (found.reasons == "wrong label").sum()


def test_a_faint_or_unsteady_prediction_accuses_nobody(arrays):
    keys, annotations, predictions, _ = arrays
    confidences = np.ones(annotations.shape[:2])
    suspects = decide(keys, annotations, predictions, confidences, threshold=1).suspects
    i, k = np.argwhere(suspects)[0]
    faint, spread = confidences.copy(), np.ones(annotations.shape[:2])
    faint[i, k], spread[i, k] = 0.4, 20
    for change in (dict(confidences=faint), dict(spread=spread)):
        given = dict(confidences=confidences, threshold=1)
        found = decide(keys, annotations, predictions, **dict(given, **change))
        assert found.unsure[i, k] and not found.suspects[i, k]


@pytest.mark.parametrize("precision", [0, 1.5])
def test_a_precision_is_a_share(arrays, precision):
    with pytest.raises(ValueError, match=r"lies in \(0, 1\]"):
        decide(*arrays, precision=precision)


def test_the_others_get_their_latent_target_on_request(arrays):
    keys, annotations, predictions, confidences = arrays
    plain = decide(keys, annotations, predictions, confidences)
    assert not plain.has_targets
    np.testing.assert_array_equal(plain.targets, annotations)
    targets = annotations + 1
    kept = decide(keys, annotations, predictions, confidences, targets)
    adopted = decide(
        keys, annotations, predictions, confidences, targets, adopt_targets=True
    )
    assert kept.has_targets
    others = ~kept.suspects
    np.testing.assert_array_equal(kept.labels[others], annotations[others])
    np.testing.assert_array_equal(adopted.labels[others], targets[others])
    np.testing.assert_array_equal(adopted.labels[~others], predictions[~others])


def test_samples_are_ranked_by_their_worst_suspect_then_by_the_worst(arrays):
    found = decide(*arrays, threshold=1)
    with_suspects = found.suspects[found.order].any(1)
    number = with_suspects.sum()
    assert 1 < number < 50 and with_suspects[:number].all()
    certain = np.where(found.suspects, found.scores, -np.inf).max(1)[found.order]
    assert (np.diff(certain[:number]) <= 0).all()
    assert (np.diff(found.scores.max(1)[found.order][number:]) <= 0).all()
    assert sorted(found.order) == list(range(50))
