"""How many of the highest scores are wrong annotations, from the data set itself.

Scores come from a comparison: slips are planted into the annotations, and a logistic
regression learns to tell planted ones from annotations as given. A score is its
logarithm of the odds. Planted slips say which share of wrong annotations a threshold
would find. They do not say how many there are, nor how often right annotations score
as high.

For that, annotation and prediction trade places. A score of the mirrored evidence says
how odd the *prediction* is. Detectors fail more often than right annotations are odd,
so mirrored scores are an upper bound for false alarms; this is the first assumption.
The share of the bound that is real is read off at lower scores, where hardly any
annotation is wrong. It must not rise with the score; this is the second assumption.
The idea of a mirrored competitor is that of Barber and Candes, "Controlling the false
discovery rate via knockoffs", Annals of Statistics 2015.

Frames of a video, or pictures of a person, go wrong together. So counts and their noise
are those of groups of samples: what persists over ten frames counts as one event.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .evidence import Evidence

# Slips that are planted: lengths in sizes of a sample, and how many of the landmarks.
SLIPS = (0.04, 0.4)
_SHARE, _COPIES = 0.03, 4
_WINDOW = 30  # mirrored scores of a window
_WINDOWS = 50  # below a threshold, that are looked at
_QUANTILE = 1.645  # of the normal distribution: 5 % on either side
_STEPS = 200  # thresholds that are looked at
_SURE = 0.75  # the interval begins at this share of the wanted precision, or higher
_TOO_FEW = 0.8  # share of planted slips beyond a score that says how many are wrong
# Wrong annotations may be so many times more frequent at low scores than planted ones.
_FAINT_ONES = 10.0
# However small a share of the bound is real at lower scores: the lower end of the
# interval does not count on less of it.
_LEAST_SHARE = 0.2


@dataclass(frozen=True)
class Precision:
    """Of a list of suspects, with the ends of its 90 % interval."""

    value: float
    low: float
    high: float


class Odds:
    """A logistic regression: the odds of planted annotations against given ones.

    Both count alike in the fit, however many they are.

    Args:
        planted: ``(P, F)``.
        given: ``(G, F)``.
    """

    def __init__(self, planted: np.ndarray, given: np.ndarray) -> None:
        rows = np.concatenate([planted, given])
        self._mean, deviation = rows.mean(0), rows.std(0)
        self._scale = np.where(deviation > 1e-9, deviation, 1)
        x = np.c_[(rows - self._mean) / self._scale, np.ones(len(rows))]
        target = np.r_[np.ones(len(planted)), np.zeros(len(given))]
        each = np.r_[
            np.full(len(planted), 0.5 / len(planted)),
            np.full(len(given), 0.5 / len(given)),
        ]
        ridge = 1e-4 * np.eye(x.shape[1])
        self._weights = np.zeros(x.shape[1])
        for _ in range(30):
            p = 1 / (1 + np.exp(-np.clip(x @ self._weights, -30, 30)))
            slope = x.T @ (each * (p - target)) + ridge @ self._weights
            curvature = (x * (each * p * (1 - p))[:, None]).T @ x + ridge
            step = np.linalg.solve(curvature, slope)
            self._weights -= step
            if abs(step).max() < 1e-6:
                break

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the logarithm of the odds ``(...)`` of features ``(..., F)``."""
        x = (features - self._mean) / self._scale
        return x @ self._weights[:-1] + self._weights[-1]


@dataclass(frozen=True)
class Scores:
    """Of N samples of K landmarks.

    Attributes:
        given: ``(N, K)`` of the annotations, NaN where not annotated.
        mirrored: ``(N, K)``, as if predictions were annotations.
        planted: ``(P,)`` of planted slips.
        lengths: ``(P,)`` of them, in sizes of their samples.
    """

    given: np.ndarray
    mirrored: np.ndarray
    planted: np.ndarray
    lengths: np.ndarray


def score(
    evidence: Evidence, annotations: np.ndarray, left_out: np.ndarray, seed: int = 0
) -> Scores:
    """Plant slips, and score annotations by how much they are like them.

    Args:
        evidence: Of the data set.
        annotations: ``(N, K, 2)`` image pixels.
        left_out: ``(N, K)`` bool: neither planted nor learned from.
        seed: Of the planting.
    """
    used = evidence.known & ~left_out
    measured = evidence(annotations)
    given = evidence.features(measured)
    rng = np.random.default_rng(seed)
    planted, lengths = [], []
    for _ in range(_COPIES):
        moved, chosen, length = plant_slips(annotations, evidence.sizes, used, rng)
        planted.append(evidence.features(evidence(moved))[chosen])
        lengths.append(length[chosen])
    features = np.concatenate(planted)
    odds = Odds(features, given[used])
    mirrored = evidence.features(measured, mirrored=True)
    return Scores(odds(given), odds(mirrored), odds(features), np.concatenate(lengths))


def plant_slips(
    annotations: np.ndarray,
    sizes: np.ndarray,
    where: np.ndarray,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Move some landmarks, in any direction.

    Args:
        annotations: ``(N, K, 2)`` image pixels.
        sizes: ``(N,)`` of the samples.
        where: ``(N, K)`` bool, which landmarks may be moved.
        rng: Of the draws.

    Returns:
        ``(N, K, 2)``; ``(N, K)`` bool, which were moved; ``(N, K)``, how far, in sizes
        of the samples. At least one is moved.
    """
    chosen = where & (rng.random(where.shape) < _SHARE)
    if not chosen.any():
        chosen.flat[rng.choice(np.flatnonzero(where))] = True
    shortest, longest = np.log(SLIPS)
    lengths = np.exp(rng.uniform(shortest, longest, where.shape))
    angle = rng.uniform(0, 2 * np.pi, where.shape)
    moves = (lengths * sizes[:, None])[..., None]
    moves = moves * np.stack([np.cos(angle), np.sin(angle)], -1)
    return (
        np.where(chosen[..., None], annotations + moves, annotations),
        chosen,
        lengths,
    )


@dataclass(frozen=True)
class Calibration:
    """What a threshold on scores would give.

    Attributes:
        scores: Of the data set.
        used: ``(N, K)`` bool, the landmarks that could be suspects.
        groups: ``(N,)`` int from 0, of samples that go wrong together, such as frames
            of a video; each its own by default.
    """

    scores: Scores
    used: np.ndarray
    groups: np.ndarray | None = None

    @cached_property
    def _given(self) -> _Ranked:
        return _Ranked.of(self.scores.given, self.used, self.groups)

    @cached_property
    def _mirrored(self) -> _Ranked:
        return _Ranked.of(self.scores.mirrored, self.used, self.groups)

    def recall(self, threshold: float, shortest: float = SLIPS[0]) -> float:
        """Return the share of planted slips that a threshold finds.

        Args:
            threshold: Scores from it on are found.
            shortest: Only slips at least as long, in sizes of their samples.
        """
        far = self.scores.lengths >= shortest
        return float((self.scores.planted[far] >= threshold).mean()) if far.any() else 0

    def precision(self, threshold: float) -> Precision:
        """Return the share of wrong annotations from a threshold on."""
        number = self._given.beyond(threshold)
        if not number:
            return Precision(0.0, 0.0, 1.0)
        false, most = self._false_alarms(threshold)
        least = self._least_false_alarms(threshold)
        value, low, high = (1 - count / number for count in (false, most, least))
        if threshold < 0:  # among annotations like all others the bound means nothing
            low = 0.0
        return Precision(*(float(np.clip(end, 0, high)) for end in (value, low, high)))

    def false_share(self, threshold: float) -> float:
        """Return how many false alarms there are for a mirrored score beyond it."""
        return self._share(threshold)[0]

    def threshold(self, wanted: float) -> float:
        """Return the lowest threshold whose suspects are as precise as wanted.

        Its estimate must be as wanted, and the lower end of the interval not less than
        three quarters of it.

        Returns:
            Infinity, if there is none.
        """
        scores = self._given.scores
        last = int(self._given.beyond(0))
        places = np.unique(np.geomspace(1, max(last, 1), _STEPS).astype(int))
        found = np.inf
        for place in places[places <= last]:
            step = float(scores[-place])
            precision = self.precision(step)
            if precision.value >= wanted and precision.low >= _SURE * wanted:
                found = step
        return found

    def _false_alarms(self, threshold: float) -> tuple[float, float]:
        """Return how many to expect from a threshold on, and how many at most."""
        mirrored = self._mirrored
        count, lasting = mirrored.beyond(threshold), mirrored.persistence(threshold)
        clumped = lasting * mirrored.clumping(threshold)
        share, highest = self._share(threshold)
        most = highest * clumped * _poisson_high(count / clumped)
        # And one that nothing foretells.
        return share * (count + lasting), most + lasting

    def _share(self, threshold: float) -> tuple[float, float]:
        """Return which share of mirrored scores false alarms are, and at most."""
        mirrored = self._mirrored
        below = mirrored.scores[: len(mirrored.scores) - mirrored.beyond(threshold)]
        near = below[::-1][_WINDOW - 1 : _WINDOW * _WINDOWS : _WINDOW]
        if not len(near):
            return 1.0, 1.0
        edges = np.r_[near[::-1], threshold]
        counts, sizes = (
            np.diff(np.searchsorted(ranked.scores, edges))
            for ranked in (self._given, mirrored)
        )
        false, number = _falling(counts, sizes)
        lasting = self._given.persistence(below[-int(number)], threshold)
        most = lasting * _poisson_high(false / lasting)
        highest = max(most / number, _LEAST_SHARE)
        return min(1.0, (false + lasting) / number), min(1.0, highest)

    def _least_false_alarms(self, threshold: float) -> float:
        """Return how many false alarms there are at least from a threshold on."""
        number, finds = self._given.beyond(threshold), self.recall(threshold)
        least, lasting = 0.0, self._given.persistence(threshold)
        for above in np.unique(np.geomspace(1, number, 33).astype(int)):
            part = self.recall(self._given.scores[-above])
            if part >= _TOO_FEW:
                most = lasting * _poisson_high(above / lasting)
                wrong = _FAINT_ONES * most / part * (finds - part)
                rest = lasting * _poisson_low((number - above) / lasting)
                least = max(least, rest - wrong)
        return least


@dataclass(frozen=True)
class _Ranked:
    """Scores that are used, lowest first, and the sample and group of each."""

    scores: np.ndarray
    samples: np.ndarray
    groups: np.ndarray

    @classmethod
    def of(
        cls, scores: np.ndarray, used: np.ndarray, groups: np.ndarray | None
    ) -> _Ranked:
        rows = np.arange(len(scores))
        order = np.argsort(scores[used], kind="stable")
        samples, group = (
            np.broadcast_to(each[:, None], scores.shape)[used][order]
            for each in (rows, rows if groups is None else groups)
        )
        return cls(scores[used][order], samples, group)

    def beyond(self, threshold: float) -> int:
        """Return how many scores reach a threshold."""
        return len(self.scores) - int(np.searchsorted(self.scores, threshold))

    def clumping(self, threshold: float) -> float:
        """Return how many of a sample's landmarks come together: 1 if each is alone."""
        beyond = self.beyond(threshold)
        return together(self.samples[-beyond:]) if beyond else 1.0

    def persistence(self, threshold: float, end: float = np.inf) -> float:
        """Return how many of a group's samples come together: 1 if each is alone.

        Of the scores from a threshold to an end, or of more below them, if they are
        too few to tell.
        """
        last = int(np.searchsorted(self.scores, end))
        first = min(int(np.searchsorted(self.scores, threshold)), last - _WINDOW)
        part = slice(max(first, 0), last)
        return together(self.groups[part]) / together(self.samples[part])


def together(groups: np.ndarray) -> float:
    """Return in how large a group, on average, a member finds itself.

    Args:
        groups: ``(M,)`` int from 0, the group of each.

    Returns:
        1 if each is alone, or if there is none.
    """
    each = np.bincount(groups)
    return float((each**2).sum() / each.sum()) if len(groups) else 1.0


def _falling(counts: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Return the last block of ratios counts/sizes that must not rise: its two sums."""
    blocks: list[list[float]] = []
    for count, size in zip(counts, sizes):
        blocks.append([float(count), float(size)])
        while len(blocks) > 1 and blocks[-1][0] * blocks[-2][1] >= (
            blocks[-2][0] * blocks[-1][1]
        ):
            last = blocks.pop()
            blocks[-1] = [blocks[-1][0] + last[0], blocks[-1][1] + last[1]]
    return blocks[-1][0], blocks[-1][1]


def _poisson_high(count: float) -> float:
    """Return the upper limit of a mean, of its count (Wilson and Hilferty)."""
    more = count + 1
    return more * (1 - 1 / (9 * more) + _QUANTILE / (3 * np.sqrt(more))) ** 3


def _poisson_low(count: float) -> float:
    """Return the lower limit of a mean, of its count."""
    if count <= 0:
        return 0.0
    return count * max(0.0, 1 - 1 / (9 * count) - _QUANTILE / (3 * np.sqrt(count))) ** 3
