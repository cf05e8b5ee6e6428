import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semamb_mm.audit.labels import audit_labels, nearest_of_class, stratified_folds


def noisy(share, n=4000, classes=30, seed=0):
    """Scores of a fair classifier, labels of which a share is wrong, the truth."""
    rng = np.random.default_rng(seed)
    true = rng.integers(0, classes, n)
    scores = rng.normal(size=(n, classes))
    scores[np.arange(n), true] += 2.5
    labels = true.copy()
    wrong = rng.choice(n, round(share * n), replace=False)
    labels[wrong] = (true[wrong] + rng.integers(1, classes, len(wrong))) % classes
    return scores, labels, true


def loop_surprise(scores, labels):
    """The share of all wrong labels that fit better, written out."""
    fits = np.log(np.exp(scores) / np.exp(scores).sum(1, keepdims=True))
    pool = [
        fits[i, k]
        for i in range(len(labels))
        for k in range(scores.shape[1])
        if k != labels[i]
    ]
    own = fits[np.arange(len(labels)), labels]
    return [np.mean([p > f for p in pool]) for f in own]


def test_surprise_and_likely_class_by_a_loop():
    scores, labels, _ = noisy(0.2, n=40, classes=5)
    audit = audit_labels(scores, labels)
    np.testing.assert_allclose(audit.surprise, loop_surprise(scores, labels), atol=1e-9)
    for i, label in enumerate(labels):
        ranked = [k for k in np.argsort(-scores[i]) if k != label]
        assert audit.likely[i] == ranked[0]
    assert (np.diff(audit.surprise[audit.order]) <= 0).all()


@pytest.mark.parametrize("share", [0.02, 0.05, 0.1, 0.2, 0.4])
def test_the_stated_precision_holds(share):
    for seed in range(3):
        scores, labels, true = noisy(share, seed=seed)
        for wanted in (0.5, 0.8, 0.95):
            audit = audit_labels(scores, labels, wanted)
            low, high = audit.share_range
            assert low - 0.003 <= share <= high + 0.003 and low < audit.share < high
            suspects = audit.suspects
            assert audit.suspects_precision >= wanted and suspects.sum() > 10
            assert suspects[audit.order[: suspects.sum()]].all()
            found = (labels != true)[suspects].mean()
            chance = 2 * np.sqrt(found * (1 - found) / suspects.sum())
            low, high = audit.suspects_range
            assert low - chance <= found <= high + chance


def test_clean_labels_have_no_suspects():
    for seed in range(5):
        audit = audit_labels(*noisy(0, seed=seed)[:2])
        assert audit.share == 0 and not audit.suspects.any()
        assert audit.share_range[0] == 0 and audit.share_range[1] < 0.01
        assert np.isnan(audit.suspects_precision)


def test_precision_falls_down_the_list():
    scores, labels, _ = noisy(0.1)
    audit = audit_labels(scores, labels)
    assert (np.diff(audit.precision[audit.order]) <= 1e-12).all()
    # All are on the list that ends with the least surprising label.
    assert audit.precision.min() == pytest.approx(audit.share, rel=0.01)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.floats(0.1, 10), st.floats(-5, 5))
def test_scores_may_be_shifted_and_classes_renamed(seed, scale, shift):
    scores, labels, _ = noisy(0.1, n=60, classes=6, seed=seed)
    scores *= scale
    audit = audit_labels(scores, labels)
    new = np.random.default_rng(seed).permutation(6)
    again = audit_labels(scores[:, np.argsort(new)] + shift, new[labels])
    np.testing.assert_allclose(again.surprise, audit.surprise, atol=1e-9)
    assert (again.likely == new[audit.likely]).all()
    assert ((audit.surprise >= 0) & (audit.surprise <= 1)).all()


def test_a_collapsed_classifier_suspects_nothing():
    audit = audit_labels(np.zeros((50, 4)), np.arange(50) % 4)
    assert np.allclose(audit.surprise, 0.5) and not audit.suspects.any()


def test_bad_input_is_named():
    scores, labels, _ = noisy(0, n=10, classes=3)
    for bad_scores, bad_labels, wanted, message in (
        (scores[:, :1], labels, 0.8, "C at least 2"),
        (scores, labels[:-1], 0.8, r"got \(10, 3\) and \(9,\)"),
        (scores, labels + 1, 0.8, r"in \[0, 3\), got 1 to 3"),
        (np.where(scores > 0, np.nan, scores), labels, 0.8, "not finite"),
        (scores, labels, 0, r"in \(0, 1\], not 0"),
    ):
        with pytest.raises(ValueError, match=message):
            audit_labels(bad_scores, bad_labels, wanted)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=6, max_size=60), st.integers(2, 5))
def test_folds_share_every_class_out(labels, num_folds):
    folds = stratified_folds(labels, num_folds)
    counts = [(folds == fold).sum() for fold in range(num_folds)]
    assert max(counts) - min(counts) <= 1
    for label in set(labels):
        of_class = folds[np.array(labels) == label]
        each = [(of_class == fold).sum() for fold in range(num_folds)]
        assert max(each) - min(each) <= 1
    assert (folds == stratified_folds(labels, num_folds)).all()


def test_groups_stay_together():
    labels = np.repeat([0, 1], 30)
    groups = np.arange(60) // 5
    folds = stratified_folds(labels, 3, seed=1, groups=groups)
    assert all(len(set(folds[groups == group])) == 1 for group in range(12))
    assert np.bincount(folds).tolist() == [20, 20, 20]
    with pytest.raises(ValueError, match="13 folds of 12 samples or groups"):
        stratified_folds(labels, 13, groups=groups)


def test_nearest_images_of_a_class():
    angles = np.array([0.0, 0.3, 0.1, 0.2, 3.0])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], 1)
    labels = np.array([0, 1, 1, 1, 0])
    trusted = np.array([True, True, False, True, False])
    nearest = nearest_of_class(embeddings, labels, 0, 1, 3, trusted)
    assert nearest.tolist() == [3, 1]
    # Image 0 is left out, and no other image of its class is trusted.
    assert nearest_of_class(embeddings, labels, 0, 0, 3, trusted).tolist() == [4]
