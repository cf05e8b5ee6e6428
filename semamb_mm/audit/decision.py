"""Which landmarks are suspects, why, and how many of them are expected to be wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .calibration import Calibration, Precision, score
from .evidence import Evidence
from .groups import Groups, Markup, Places, find_groups, moved_parts
from .scores import checked

PRECISION = 0.8
WRONG = "wrong label"
UNSURE = "detector is unsure"
SWAPPED = "left and right swapped"
SHIFTED = "shifted by one along its curve"
OTHER = "annotation of another sample"
REASONS = (WRONG, SWAPPED, SHIFTED, OTHER, UNSURE)

# Of a detector that is unsure: its confidence over what is usual for the landmark, and
# the spread over views over that.
_FAINT, _UNSTEADY = 0.5, 5.0
_DISAGREES = 0.0  # score from which on an unsure detector is worth a line


@dataclass(frozen=True)
class Audit:
    """What is known of N samples of K landmarks, in image pixels.

    Attributes:
        keys: The samples' names.
        annotations: ``(N, K, 2)``, NaN where not annotated.
        predictions: ``(N, K, 2)`` of a model.
        confidences: ``(N, K)`` keypoint scores of the model.
        targets: ``(N, K, 2)`` latent targets; the annotations where there are none.
        scores: ``(N, K)``, NaN where not annotated: the logarithm of the odds that an
            annotation was planted rather than given, if there were as many of both.
            Suspects that are wrong together have the highest at least.
        suspects: ``(N, K)`` bool.
        reasons: ``(N, K)`` of :data:`REASONS`; empty where there is nothing to say.
        precisions: ``(N, K)``, the share of wrong annotations to expect among the
            suspects that score at least as high, or among more of them, if that share
            is larger; NaN of all others.
        precision: Of all suspects, with its interval; None without any.
        threshold: The score from which on single landmarks are suspects; infinity if
            no list of them would be as precise as wanted.
        wanted: The precision that was asked for.
        labels: ``(N, K, 2)`` proposed instead of the annotations.
        calibration: What any other threshold would give.
    """

    keys: Sequence[str]
    annotations: np.ndarray
    predictions: np.ndarray
    confidences: np.ndarray
    targets: np.ndarray
    scores: np.ndarray
    suspects: np.ndarray
    reasons: np.ndarray
    precisions: np.ndarray
    precision: Precision | None
    threshold: float
    wanted: float
    labels: np.ndarray
    calibration: Calibration

    @cached_property
    def order(self) -> np.ndarray:
        """Samples ``(N,)``, worst first: those with suspects, by their worst landmark.

        Many suspects are no worse than a certain one: hidden faces have many.
        """
        scores = np.nan_to_num(self.scores, nan=-np.inf)
        of_suspects = np.where(self.suspects, scores, -np.inf)
        return np.lexsort((-scores.max(1), -of_suspects.max(1)))

    @property
    def unsure(self) -> np.ndarray:
        """``(N, K)`` bool: the detector disagrees, and is unsure itself."""
        return self.reasons == UNSURE

    @property
    def has_targets(self) -> bool:
        """Whether any latent target differs from its annotation."""
        return bool(np.nanmax(np.abs(self.targets - self.annotations)) > 0)

    def counts(self) -> dict[str, int]:
        """Return how many landmarks have each reason, those that occur."""
        found = {reason: int((self.reasons == reason).sum()) for reason in REASONS}
        return {reason: count for reason, count in found.items() if count}


def decide(
    keys: Sequence[str],
    annotations: np.ndarray,
    predictions: np.ndarray,
    confidences: np.ndarray,
    targets: np.ndarray | None = None,
    inside: np.ndarray | None = None,
    adopt_targets: bool = False,
    *,
    spread: np.ndarray | None = None,
    markup: Markup | None = None,
    groups: Sequence | np.ndarray | None = None,
    precision: float = PRECISION,
    threshold: float | None = None,
    seed: int = 0,
) -> Audit:
    """Score annotations, name suspects, and propose the prediction for each.

    How many suspects are wrong is estimated from the data set itself, see
    :mod:`semamb_mm.audit.calibration`. There may be none.

    Args:
        keys: The samples' names.
        annotations: ``(N, K, 2)`` image pixels, NaN where not annotated.
        predictions: ``(N, K, 2)`` image pixels, best of a model that has not seen the
            sample.
        confidences: ``(N, K)`` keypoint scores.
        targets: ``(N, K, 2)`` latent targets, if there are any.
        inside: ``(N, K)`` bool, which predictions lie inside the image; the detector
            counts as unsure of others. Defaults to all.
        adopt_targets: Propose the latent target for every landmark that is no suspect.
        spread: ``(N, K)`` image pixels, of predictions over several views.
        markup: Which landmarks are mirror images, which lie on a curve.
        groups: ``N`` names, alike of samples that go wrong together: of a video, a
            person. They are no independent evidence. Each sample is its own by default.
        precision: The share of suspects that shall be wrong annotations.
        threshold: A score from which on single landmarks are suspects, whatever the
            precision.
        seed: Of the planting.

    Raises:
        ValueError: If shapes or lengths disagree or something is not finite, nothing is
            annotated, there are fewer than ten samples, or the precision does not lie
            in (0, 1].
    """
    if not 0 < precision <= 1:
        raise ValueError(f"the wanted precision lies in (0, 1], not {precision}")
    annotations, predictions, confidences = checked(
        annotations, predictions, confidences
    )
    markup = Markup() if markup is None else markup
    evidence = Evidence(annotations, predictions, confidences, spread)
    sources = _numbered(groups, len(annotations))
    wholes = find_groups(evidence, annotations, markup, precision, sources)
    unsure = (evidence.confidence < _FAINT) | (evidence.unsteady > _UNSTEADY)
    if inside is not None:
        unsure |= ~np.asarray(inside, bool)
    places = Places.of(evidence, annotations, markup)
    left_out = unsure | wholes.far | moved_parts(evidence, annotations, places)
    if not (evidence.known & ~left_out).any():
        left_out = np.zeros_like(left_out)
    scores = score(evidence, annotations, left_out, seed)
    calibration = Calibration(scores, evidence.known & ~left_out, sources)
    if threshold is None:
        threshold = calibration.threshold(precision)
    single = calibration.used & (scores.given >= threshold)
    suspects = single | (wholes.suspects & ~unsure)
    reasons = _reasons(places, wholes, suspects)
    disagrees = (scores.given >= _DISAGREES) | wholes.far
    reasons[evidence.known & left_out & ~suspects & disagrees] = UNSURE
    kept = targets if adopt_targets and targets is not None else annotations
    return Audit(
        keys,
        annotations,
        predictions,
        confidences,
        annotations if targets is None else targets,
        _shown(scores.given, suspects & ~single),
        suspects,
        reasons,
        _precisions(calibration, single, wholes, suspects),
        _overall(calibration, single, wholes, suspects, threshold),
        threshold,
        precision,
        np.where(suspects[..., None], predictions, kept),
        calibration,
    )


def _shown(scores: np.ndarray, together: np.ndarray) -> np.ndarray:
    """Return the scores, those of landmarks suspected together above all others."""
    scores = scores.copy()
    scores[together] = np.fmax(scores[together], np.nanmax(scores))
    return scores


def _numbered(groups: Sequence | np.ndarray | None, number: int) -> np.ndarray:
    """Return the group of each sample as ``(N,)`` int from 0."""
    if groups is None:
        return np.arange(number)
    if len(groups) != number:
        raise ValueError(f"{len(groups)} groups of {number} samples; expected one each")
    return np.unique(np.asarray(groups), return_inverse=True)[1].reshape(-1)


def _reasons(places: Places, groups: Groups, suspects: np.ndarray) -> np.ndarray:
    """Return why each suspect is one, ``(N, K)``."""
    reasons = np.full(suspects.shape, "", object)
    reasons[suspects] = WRONG
    reasons[suspects & places.following] = SHIFTED
    reasons[suspects & places.mirrored] = SWAPPED
    reasons[groups.suspects & suspects] = OTHER
    reasons[groups.shifted & suspects] = SHIFTED
    reasons[groups.swapped & suspects] = SWAPPED
    return reasons


def _precisions(calibration, single, groups: Groups, suspects) -> np.ndarray:
    """Return the expected precision down to each suspect, ``(N, K)``."""
    precisions = np.full(suspects.shape, np.nan)
    together = suspects & ~single
    if together.any():
        precisions[together] = max(0.0, 1 - groups.false[0] / together.sum())
    scores = calibration.scores.given
    values, place = np.unique(scores[single], return_inverse=True)
    expected = [calibration.precision(value).value for value in values]
    # Of a few alone little is known; a worse score is no better one.
    precisions[single] = np.maximum.accumulate([0.0, *expected])[1:][place]
    return precisions


def _overall(calibration, single, groups: Groups, suspects, threshold):
    """Return the precision of all suspects with its interval; None without any."""
    number, alone = int(suspects.sum()), int(single.sum())
    if not number:
        return None
    of_single = calibration.precision(threshold) if alone else Precision(0, 0, 0)
    false = groups.false if number > alone else (0.0, 0.0)
    more = [max(0.0, number - alone - count) for count in (*false, 0.0)]
    ends = of_single.value, of_single.low, of_single.high
    return Precision(*((alone * e + m) / number for e, m in zip(ends, more)))
