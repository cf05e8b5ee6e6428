"""Which class labels are probably wrong, and how many of the suspects are.

The scores come from a classifier, best one that was not trained on the image
(:func:`stratified_folds`). A label's *surprise* is the share of wrong labels that would
have fitted their image better: all labels that the data set's images do not have, under
the same scores, are the wrong labels to compare with. Of a label that was given at
random the surprise is uniform on [0, 1]; of a right one it is near 0.

So there are as many wrong labels at every surprise, while right ones fall off. What
lies beyond ``BEYOND`` is a mixture of a flat part and an exponential one. Its fit gives
the share of wrong labels, and with it how many of the most surprising labels are wrong.
(The flat part is that of p-values in Storey, "A direct approach to false discovery
rates", JRSS-B 2002.)
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Where the surprises of right labels have begun to fall off, and how fast they may.
BEYOND = 0.2
_DECAYS = np.geomspace(0.02, 0.25, 24)
# Twice the logarithm of the likelihood ratio that makes wrong labels believed in (one
# side, 5 %), and by which their share is told from others (two sides, 5 %).
_EVIDENCE, _INTERVAL = 2.71, 3.84
PRECISION = 0.8


@dataclass(frozen=True)
class LabelAudit:
    """What is known of the labels of n images.

    Attributes:
        labels: ``(n,)``, as claimed.
        surprise: ``(n,)`` in [0, 1], see the module.
        likely: ``(n,)``, of all other classes the likeliest one.
        share: Of wrong labels in the whole set, estimated; 0 without evidence of any.
        share_range: 95 % confidence limits of the share.
        precision: ``(n,)``, the share of wrong labels to expect among those that are
            at least as surprising.
        wanted: The precision from which on labels are suspects.
    """

    labels: np.ndarray
    surprise: np.ndarray
    likely: np.ndarray
    share: float
    share_range: tuple[float, float]
    precision: np.ndarray
    wanted: float

    @cached_property
    def order(self) -> np.ndarray:
        """All images ``(n,)``, the most surprising labels first."""
        return np.argsort(-self.surprise, kind="stable")

    @cached_property
    def suspects(self) -> np.ndarray:
        """``(n,)`` bool: the most labels whose expected precision is as wanted."""
        return self.precision >= self.wanted

    @property
    def suspects_precision(self) -> float:
        """Share of wrong labels to expect among the suspects; NaN without any."""
        suspects = self.suspects
        return float(self.precision[suspects].min()) if suspects.any() else np.nan

    @property
    def suspects_range(self) -> tuple[float, float]:
        """Limits of :attr:`suspects_precision` that go with ``share_range``."""
        low, high = (self.suspects_precision * s / self.share for s in self.share_range)
        return low, min(high, 1.0)


def audit_labels(
    scores: np.ndarray, labels: Sequence[int], wanted: float = PRECISION
) -> LabelAudit:
    """Rank labels by how surprising they are, and estimate how many are wrong.

    Args:
        scores: ``(n, C)`` class scores: logits, or logarithms of probabilities.
        labels: ``(n,)``.
        wanted: The precision from which on labels are suspects.

    Raises:
        ValueError: If the shapes or a label do not fit, a score is not finite, or the
            precision does not lie in (0, 1].

    Example:
        >>> scores = 5 * np.eye(3)[[0, 1, 2, 2]]
        >>> audit = audit_labels(scores, [0, 1, 2, 0])
        >>> int(audit.order[0]), int(audit.likely[3]), audit.share
        (3, 2, 0.0)
    """
    scores, known = _checked(scores, labels)
    if not 0 < wanted <= 1:
        raise ValueError(f"the wanted precision lies in (0, 1], not {wanted}")
    rows = np.arange(len(known))
    peak = scores.max(1, keepdims=True)
    fits = scores - peak - np.log(np.exp(scores - peak).sum(1, keepdims=True))
    others = fits.copy()
    others[rows, known] = -np.inf
    surprise = _surprise(fits, known)
    share, limits = _estimate_share(surprise)
    precision = _precision(surprise, share)
    likely = others.argmax(1)
    return LabelAudit(known, surprise, likely, share, limits, precision, wanted)


def _checked(
    raw_scores: np.ndarray, raw_labels: Sequence[int]
) -> tuple[np.ndarray, np.ndarray]:
    scores, labels = np.asarray(raw_scores, np.float64), np.asarray(raw_labels)
    if scores.ndim != 2 or labels.shape != scores.shape[:1] or scores.shape[1] < 2:
        raise ValueError(
            "expected scores of shape (n, C), C at least 2, and labels (n,); got "
            f"{scores.shape} and {labels.shape}"
        )
    if len(labels) and not 0 <= labels.min() <= labels.max() < scores.shape[1]:
        raise ValueError(
            f"labels are in [0, {scores.shape[1]}), got {labels.min()} to "
            f"{labels.max()}"
        )
    if not np.isfinite(scores).all():
        raise ValueError("a score is not finite")
    return scores, labels


def _surprise(fits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return the share of the labels that images do not have that fit better."""
    wrong = np.ones(fits.shape, bool)
    own = np.arange(len(labels)), labels
    wrong[own] = False
    pool = np.sort(fits[wrong])
    # In the middle of those that fit as well.
    worse = np.searchsorted(pool, fits[own], "left")
    not_better = np.searchsorted(pool, fits[own], "right")
    return 1 - (worse + not_better) / (2 * len(pool))


def _estimate_share(surprise: np.ndarray) -> tuple[float, tuple[float, float]]:
    """Return the share of wrong labels in all, and its limits."""
    beyond = surprise[surprise > BEYOND] - BEYOND
    width = 1 - BEYOND
    decays = _DECAYS[:, None]
    right = np.exp(-beyond / decays) / (decays * (1 - np.exp(-width / decays)))
    base, ratio = np.log(right).sum(1), 1 / (width * right)
    parts = np.linspace(0, 1, 201)  # of those beyond, the wrong ones
    # The best decay for each.
    fit = np.array([(base + np.log(1 - p + p * ratio).sum(1)).max() for p in parts])
    worse = 2 * (fit.max() - fit)
    possible = parts[worse <= _INTERVAL]
    whole = len(beyond) / (width * max(1, len(surprise)))
    share = parts[worse.argmin()] * whole if worse[0] > _EVIDENCE else 0.0
    low, high = (min(1.0, part * whole) for part in possible[[0, -1]])
    return min(1.0, float(share)), (float(low), float(high))


def _precision(surprise: np.ndarray, share: float) -> np.ndarray:
    """Return the share of wrong labels among those at least as surprising."""
    ascending = np.argsort(surprise, kind="stable")
    ordered = surprise[ascending]
    # Equally surprising labels are all on the list, or none.
    count = len(surprise) - np.searchsorted(ordered, ordered, "left")
    expected = share * len(surprise) * (1 - ordered)
    # A longer list is never more precise than what it begins with.
    precision = np.maximum.accumulate(np.minimum(expected / count, 1))
    result = np.empty(len(surprise))
    result[ascending] = precision
    return result


def stratified_folds(
    labels: Sequence[int],
    num_folds: int,
    seed: int = 0,
    groups: Sequence[Hashable] | None = None,
) -> np.ndarray:
    """Return a fold ``(n,)`` for every sample, each class shared out among them.

    Args:
        labels: ``(n,)``.
        num_folds: F.
        seed: Of the order in which a class is shared out.
        groups: ``(n,)``. Samples of one group stay in one fold; a group has one label.

    Raises:
        ValueError: If there are fewer than 2 folds, or more than groups.

    Example:
        >>> folds = stratified_folds([0, 0, 1, 1, 1, 1], 2)
        >>> sorted(folds[:2].tolist()), sorted(folds[2:].tolist())
        ([0, 1], [0, 0, 1, 1])
    """
    of_class = np.asarray(labels).tolist()
    if groups is None:
        groups = list(range(len(of_class)))
    members: dict[int, dict[Hashable, list[int]]] = {}
    for index, (label, group) in enumerate(zip(of_class, groups, strict=True)):
        members.setdefault(label, {}).setdefault(group, []).append(index)
    number = sum(map(len, members.values()))
    if not 2 <= num_folds <= number:
        raise ValueError(
            f"{num_folds} folds of {number} samples or groups: expected 2 or more "
            "folds, and a sample or group for each"
        )
    rng = np.random.default_rng(seed)
    folds = np.empty(len(of_class), np.int64)
    dealt = 0  # on to the next class, so that all folds are equally large
    for label in sorted(members):
        parts = list(members[label].values())
        for position in rng.permutation(len(parts)):
            folds[parts[position]] = dealt % num_folds
            dealt += 1
    return folds


def nearest_of_class(
    embeddings: np.ndarray,
    labels: np.ndarray,
    index: int,
    label: int,
    count: int,
    trusted: np.ndarray,
) -> np.ndarray:
    """Return the images of a class that are nearest to an image, nearest first.

    Args:
        embeddings: ``(n, D)``, L2-normalised.
        labels: ``(n,)``.
        index: The image; it is left out.
        label: The class.
        count: Images at most.
        trusted: ``(n,)`` bool, the images to choose from. A class without any is
            shown by all its images.
    """
    members = labels == label
    members[index] = False
    chosen = members & trusted
    members = np.flatnonzero(chosen if chosen.any() else members)
    similarity = embeddings[members] @ embeddings[index]
    return members[np.argsort(-similarity, kind="stable")[:count]]
