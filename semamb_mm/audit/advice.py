"""Which training annotations call for: a decision by figures of a plain detector.

The thresholds are assumptions, see docs/restart_and_cross_fit.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

TARGETS_GAIN = 0.02  # less at the upper end: leave it; at the lower end: try it
DETECTOR_GAIN = 0.01  # less, and only the labels get better
LARGE_GAIN = 0.02  # more, and a second training pays
MEMORISED = 0.7  # residuals on training over held-out samples; below, cross-fitting

LEAVE, TRY, TARGETS, WITHIN, RESTART, CROSS_FIT = (
    "leave it",
    "try it",
    "targets only",
    "in-sample",
    "restart",
    "cross-fit",
)
_WHY = {
    LEAVE: "no annotation noise was found that could be taken away",
    TRY: "better targets are neither certain nor ruled out, as happens with few "
    "pictures: search within one training, LatentTargetHook(start=...), and keep its "
    "detector if tools/analysis/compare_detectors.py says so",
    TARGETS: "targets would be better labels, but the detector would hardly gain: its "
    "errors are not made by the annotations' noise",
    WITHIN: "the detector may gain a little: search within one training, "
    "LatentTargetHook(start=...)",
    RESTART: "the detector may gain: tools/search_targets.py, then train again on its "
    "targets",
    CROSS_FIT: "the detector has memorised annotations, their errors too: "
    "tools/cross_fit.py, then train on its targets",
}


@dataclass(frozen=True)
class Estimate:
    """A figure with the ends of its 95 % interval."""

    value: float
    low: float
    high: float


def advise(ratio: Estimate, targets: Estimate, detector: Estimate) -> str:
    """Return what to do: one of the six.

    Args:
        ratio: RMS residual on samples that were trained on, over that on others.
        targets: By which share targets are expected to err less than annotations.
        detector: The same of the detector.
    """
    if targets.high < TARGETS_GAIN:
        return LEAVE
    if targets.low < TARGETS_GAIN:
        return TRY
    if detector.value < DETECTOR_GAIN:
        return TARGETS
    if ratio.value < MEMORISED:
        return CROSS_FIT
    return WITHIN if detector.value < LARGE_GAIN else RESTART


def sentence(advice: str, freeze: Sequence[str] = ()) -> str:
    """Return the advice as a sentence.

    Args:
        advice: Of :func:`advise`.
        freeze: Names of landmarks whose annotations should stay.
    """
    text = f"Advice: {advice}; {_WHY[advice]}"
    if freeze and advice not in (LEAVE, TRY):
        text += f". Freeze {', '.join(freeze)}: no noise was found there"
    return text + "."


def to_freeze(gains: Sequence[Estimate], names: Sequence[str]) -> list[str]:
    """Return the names of landmarks whose targets are not expected to get better.

    Args:
        gains: Of each landmark, see ``targets`` of :func:`advise`.
        names: Of the landmarks.
    """
    return [name for name, gain in zip(names, gains) if gain.low <= 0]
