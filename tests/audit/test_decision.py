import numpy as np
import pytest

from semamb_mm.audit import decide

from .test_scores import annotated


@pytest.fixture
def arrays():
    annotations, predictions, wrong = annotated(50)
    return [f"face{i}" for i in range(50)], annotations, predictions, 1.0 * ~wrong


def test_suspects_get_the_prediction_if_it_lies_inside(arrays):
    keys, annotations, predictions, _ = arrays
    confidences = np.ones(annotations.shape[:2])
    found = decide(keys, annotations, predictions, confidences, threshold=3)
    assert 0 < found.suspects.sum() < found.suspects.size
    expected = np.where(found.suspects[..., None], predictions, annotations)
    np.testing.assert_array_equal(found.labels, expected)
    outside = decide(
        keys, annotations, predictions, confidences,
        inside=np.zeros(annotations.shape[:2], bool), threshold=3,
    )  # fmt: skip
    np.testing.assert_array_equal(outside.suspects, found.suspects)
    np.testing.assert_array_equal(outside.labels, annotations)


def test_the_others_get_their_latent_target_on_request(arrays):
    keys, annotations, predictions, confidences = arrays
    plain = decide(keys, annotations, predictions, confidences)
    assert not plain.has_targets and plain.targets is annotations
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


def test_samples_are_ranked_by_suspects_then_by_the_worst(arrays):
    found = decide(*arrays, threshold=2)
    worst = [
        (int(found.suspects[i].sum()), float(found.scores[i].max()))
        for i in found.order
    ]
    assert worst == sorted(worst, reverse=True)
    assert sorted(found.order) == list(range(50))
