"""Annotations that are wrong together: whole samples, and curves shifted by one.

The level of a group is the median distance of its annotations from the predictions, in
what is usual for each. Levels of right annotations fall off as a power; the fall is
read off where most samples are, and continued.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from .calibration import together
from .evidence import Evidence
from .scores import row_medians

_SHORTEST = 4  # landmarks of a curve that can be seen to be shifted
_OUTLYING = 5.0  # robust standard deviations of the logarithm of levels
_MATCHED = 3.0  # distance up to which an annotation lies at another landmark's place
_MUCH_NEARER = 0.5
_PLAUSIBLE = 3.0  # oddness of predictions up to which their shape is usual
_CONFIDENT = 0.6  # median relative confidence of a sample
_FLATTER = 2.0  # how much slower than estimated levels may fall off
_ALIKE = 0.5  # of their length, by which neighbours' moves differ that are one
_FOLLOWED = 2  # neighbours that move alike, from which on a part has moved
# Of right annotations that lie as far away, those at another landmark's place.
_BY_CHANCE = 0.05


@dataclass(frozen=True)
class Markup:
    """What is known of K landmarks.

    Attributes:
        mirrored: ``(K,)``, each landmark's mirror image, as ``flip_indices`` in MMPose;
            empty if not known.
        curves: Landmarks in order along a curve, each.
    """

    mirrored: Sequence[int] = ()
    curves: Sequence[Sequence[int]] = field(default_factory=tuple)


@dataclass(frozen=True)
class Groups:
    """Groups of annotations that lie far from the predictions together.

    Attributes:
        far: ``(N, K)`` bool, in any such group.
        suspects: ``(N, K)`` bool, of those the ones taken for wrong.
        swapped: ``(N, K)`` bool, of these, at the place of the mirror image.
        shifted: ``(N, K)`` bool, of these, at the place of the next on the curve.
        false: How many of the suspects are expected to be right, and at most.
    """

    far: np.ndarray
    suspects: np.ndarray
    swapped: np.ndarray
    shifted: np.ndarray
    false: tuple[float, float]


def find_groups(
    evidence: Evidence,
    annotations: np.ndarray,
    markup: Markup,
    wanted: float,
    sources: np.ndarray | None = None,
) -> Groups:
    """Find whole samples and curves.

    Args:
        evidence: Of the data set.
        annotations: ``(N, K, 2)`` image pixels, NaN where not annotated.
        markup: Of the landmarks.
        wanted: Share of suspects that shall be wrong.
        sources: ``(N,)`` int from 0, of samples that go wrong together, such as frames
            of a video; each its own by default.
    """
    known = evidence.known
    distances = evidence.distances(annotations)
    trusted = _trusted(evidence)
    with np.errstate(invalid="ignore"):  # some of a wrong sample's landmarks are right
        away = known & (distances > _MATCHED)
    found = _Found(known.shape)

    levels = row_medians(distances)
    tail = Tail(levels, sources)
    exchanged = _is_swapped(evidence, annotations, markup, levels)
    others = tail.named(levels, trusted & ~exchanged, wanted)
    found.add(away & others[:, None], others, tail.expected(levels, others))
    swapped = tail.named(levels, trusted & exchanged, wanted, _BY_CHANCE)
    # What has no other side is right in a swapped sample.
    on_a_side = away & swapped[:, None]
    on_a_side &= np.isin(np.arange(known.shape[1]), _paired(markup))
    found.add(on_a_side, swapped, tail.expected(levels, swapped, _BY_CHANCE))
    far = known & tail.outlying(levels)[:, None]

    whole, shifted = far.any(1), np.zeros_like(far)
    for curve in (np.asarray(c) for c in markup.curves if len(c) >= _SHORTEST):
        levels = row_medians(distances[:, curve])
        tail = Tail(levels, sources)
        moved = _is_shifted(evidence, annotations, curve, levels) & ~whole
        moved &= tail.outlying(levels)
        far[np.ix_(moved, curve)] |= known[np.ix_(moved, curve)]
        named = tail.named(levels, trusted & moved, wanted, _BY_CHANCE)
        on_it = np.zeros_like(far)
        on_it[np.ix_(named, curve)] = away[np.ix_(named, curve)]
        shifted |= on_it
        found.add(on_it, named, tail.expected(levels, named, _BY_CHANCE))
    return Groups(far, found.suspects, on_a_side, shifted, (found.false, found.most))


class _Found:
    """Suspects, and how many of them are expected to be right, and at most."""

    def __init__(self, shape: tuple[int, int]) -> None:
        self.suspects = np.zeros(shape, bool)
        self.false = self.most = 0.0

    def add(
        self, suspects: np.ndarray, named: np.ndarray, false: tuple[float, float]
    ) -> None:
        """Add landmarks of groups ``(N,)`` of which so many are right."""
        self.suspects |= suspects
        each = suspects.sum() / max(named.sum(), 1)
        self.false += false[0] * each
        self.most += false[1] * each


class Tail:
    """How often right annotations reach a level.

    Args:
        levels: ``(N,)``, NaN where there is none; few of them of wrong annotations.
        sources: ``(N,)``, see :func:`find_groups`.
    """

    def __init__(self, levels: np.ndarray, sources: np.ndarray | None = None) -> None:
        self._sources = np.arange(len(levels)) if sources is None else sources
        known = levels[np.isfinite(levels)]
        self._number = len(known)
        if not self._number:
            known = np.ones(1)
        low, middle, high = np.maximum(np.quantile(known, (0.5, 0.7, 0.9)), 1e-9)
        self._high = high
        # A tenth of the samples lies beyond the last, three tenths beyond the middle.
        self._index = np.log(3) / max(np.log(high / middle), 0.02)
        self._limit = low * (high / low) ** (_OUTLYING / 1.2816)

    def outlying(self, levels: np.ndarray) -> np.ndarray:
        """Return ``(N,)`` bool: levels unlike the others."""
        return np.nan_to_num(levels) > self._limit

    def beyond(self, level: float, flatter: float = 1.0) -> float:
        """Return how many right ones to expect beyond a level."""
        ratio = max(level / self._high, 1.0)
        return 0.1 * self._number * ratio ** (-self._index / flatter)

    def named(
        self,
        levels: np.ndarray,
        possible: np.ndarray,
        wanted: float,
        chance: float = 1.0,
    ) -> np.ndarray:
        """Return ``(N,)`` bool: the most groups that are wrong as often as wanted.

        Args:
            levels: ``(N,)``.
            possible: ``(N,)`` bool, groups to choose from.
            wanted: Share that shall be wrong.
            chance: Which share of right groups is among those to choose from.
        """
        possible = possible & self.outlying(levels)
        best = np.zeros(len(levels), bool)
        for level in np.sort(levels[possible])[::-1]:
            chosen = possible & (levels >= level)
            if chance * self.beyond(level, _FLATTER) <= (1 - wanted) * chosen.sum():
                best = chosen
        return best

    def expected(
        self, levels: np.ndarray, named: np.ndarray, chance: float = 1.0
    ) -> tuple[float, float]:
        """Return how many of those named are right, and at most.

        A video of which frames are named may be odd as a whole: at most it is right,
        too.
        """
        if not named.any():
            return 0.0, 0.0
        level = float(levels[named].min())
        most = self.beyond(level, _FLATTER) + together(self._sources[named]) - 1
        return chance * self.beyond(level), chance * most


def at_place_of(
    evidence: Evidence, annotations: np.ndarray, landmarks: np.ndarray
) -> np.ndarray:
    """Return ``(N, K)`` bool: annotations that lie at another landmark's prediction.

    Args:
        evidence: Of the data set.
        annotations: ``(N, K, 2)`` image pixels.
        landmarks: ``(K,)``, the other landmark; itself where there is none.
    """
    other = landmarks != np.arange(len(landmarks))
    near = evidence.distances(annotations, landmarks)
    far = evidence.distances(annotations)
    with np.errstate(invalid="ignore"):
        return other & (near <= _MATCHED) & (near < _MUCH_NEARER * far)


@dataclass(frozen=True)
class Places:
    """Annotations that lie at another landmark's prediction, ``(N, K)`` bool each.

    Attributes:
        following: At that of the next landmark of a curve, or of the one before.
        mirrored: At that of their mirror image.
    """

    following: np.ndarray
    mirrored: np.ndarray

    @classmethod
    def of(cls, evidence: Evidence, annotations: np.ndarray, markup: Markup) -> Places:
        """Look at annotations ``(N, K, 2)`` in image pixels."""
        following = np.zeros(evidence.known.shape, bool)
        mirrored = np.zeros_like(following)
        for curve in markup.curves:
            for here, there in ((curve[:-1], curve[1:]), (curve[1:], curve[:-1])):
                landmarks = np.arange(following.shape[1])
                landmarks[list(here)] = list(there)
                following |= at_place_of(evidence, annotations, landmarks)
        if len(markup.mirrored):
            landmarks = np.asarray(markup.mirrored, int)
            mirrored = at_place_of(evidence, annotations, landmarks)
        return cls(following, mirrored)


def moved_parts(
    evidence: Evidence, annotations: np.ndarray, places: Places
) -> np.ndarray:
    """Return ``(N, K)`` bool: landmarks that lie elsewhere together with neighbours.

    A lip or an eye that a detector has missed lies apart from its annotation as a
    whole, where annotators misplace single landmarks. What lies at another landmark's
    place, of its curve or of the other side, is none of these.

    Args:
        evidence: Of the data set.
        annotations: ``(N, K, 2)`` image pixels.
        places: Of the annotations.
    """
    moves = evidence.moves(annotations)
    lengths = np.linalg.norm(moves, axis=-1)
    with np.errstate(invalid="ignore"):
        far = evidence.known & (evidence.distances(annotations) > _MATCHED)
    followed = np.zeros(far.shape, int)
    for near in evidence.nearest.T:
        gaps = np.linalg.norm(moves - moves[:, near], axis=-1)
        with np.errstate(invalid="ignore"):
            alike = gaps < _ALIKE * np.maximum(lengths, lengths[:, near])
        followed += alike & far[:, near]
    at_others = places.following | places.mirrored
    return far & (followed >= _FOLLOWED) & ~at_others


def _trusted(evidence: Evidence) -> np.ndarray:
    """Return ``(N,)`` bool: samples whose predictions are sure and of usual shape."""
    confidence = np.where(evidence.known, evidence.confidence, np.nan)
    odd = row_medians(evidence.mirror)
    return (row_medians(confidence) >= _CONFIDENT) & (odd <= _PLAUSIBLE)


def _paired(markup: Markup) -> np.ndarray:
    """Return the landmarks that have a mirror image."""
    mirrored = np.asarray(markup.mirrored, int)
    return np.flatnonzero(mirrored != np.arange(len(mirrored)))


def _is_swapped(evidence, annotations, markup, levels) -> np.ndarray:
    """Return ``(N,)`` bool: left and right exchanged, by their places and the shape."""
    paired, mirrored = _paired(markup), np.asarray(markup.mirrored, int)
    if not len(paired):
        return np.zeros(len(levels), bool)
    exchanged = row_medians(evidence.distances(annotations, mirrored)[:, paired])
    return exchanged < np.minimum(_MUCH_NEARER * levels, 2 * _MATCHED)


def _is_shifted(evidence, annotations, curve, levels) -> np.ndarray:
    """Return ``(N,)`` bool: most of a curve at the place of the next landmark."""
    matched = np.full(len(levels), np.inf)
    for step in (1, -1):
        landmarks = np.arange(annotations.shape[1])
        inner = curve[:-1] if step > 0 else curve[1:]
        landmarks[inner] = curve[1:] if step > 0 else curve[:-1]
        shifted = evidence.distances(annotations, landmarks)[:, inner]
        matched = np.fmin(matched, row_medians(shifted))
    return matched < np.minimum(_MUCH_NEARER * levels, _MATCHED)
