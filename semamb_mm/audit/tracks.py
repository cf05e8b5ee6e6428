"""Suspects of videos as tracks: one landmark over a stretch of frames.

Annotations of videos are made by tracking, so a slip lasts. A person who corrects it
wants one line for it, not one for each frame.

Right annotations that were taken for wrong make short tracks, many of a single frame.
So fewer of the tracks are wrong than of the suspects. How many is estimated as for
suspects: of the mirrored scores (:mod:`~semamb_mm.audit.calibration`) tracks are made,
too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from .decision import Audit

# Suspects this many frames apart, or so many of the usual steps from frame to frame,
# whichever is longer, belong together.
GAP, _STEPS = 10, 3


@dataclass(frozen=True)
class Frames:
    """Of which videos N samples are frames.

    Attributes:
        videos: ``N`` names; empty for still images.
        numbers: ``(N,)`` int of the frames in their videos; any of still images.

    Raises:
        ValueError: If the lengths disagree.
    """

    videos: Sequence[str]
    numbers: np.ndarray

    def __post_init__(self) -> None:
        if np.shape(self.numbers) != (len(self.videos),):
            raise ValueError(
                f"{len(self.videos)} videos, frame numbers {np.shape(self.numbers)}; "
                "expected one of each for every sample"
            )


@dataclass(frozen=True)
class Track:
    """Suspects of one landmark in frames of a video that are near to each other.

    Attributes:
        video: Its name.
        landmark: Its number, from 0.
        rows: ``(n,)`` samples of the suspects, in the frames' order.
        first: Number of the first suspect's frame.
        last: Number of the last suspect's frame.
        score: The worst.
        reason: The most frequent.
        precision: The share of wrong tracks to expect among those that score at least
            as high, or among more of them, if that share is larger; NaN where not
            known.
    """

    video: str
    landmark: int
    rows: np.ndarray
    first: int
    last: int
    score: float
    reason: str
    precision: float = np.nan

    @property
    def extent(self) -> str:
        """Where it is, in words."""
        return f"{self.video}, frames {self.first} to {self.last}"


def find_tracks(
    frames: Frames,
    suspects: np.ndarray,
    scores: np.ndarray,
    reasons: np.ndarray,
    gap: int | None = None,
) -> list[Track]:
    """Return the tracks of all suspects in videos, worst first.

    Args:
        frames: Of the N samples.
        suspects: ``(N, K)`` bool.
        scores: ``(N, K)``, higher is worse.
        reasons: ``(N, K)`` str.
        gap: Frames from a suspect to the next one of its track, at most. Defaults to
            10, or to three of the video's usual steps from sample to sample, if that is
            more.

    Raises:
        ValueError: If the gap is not positive.
    """
    if gap is not None and gap < 1:
        raise ValueError(f"the gap is {gap} frames; expected 1 or more")
    names, video = np.unique(np.asarray(frames.videos, str), return_inverse=True)
    numbers = np.asarray(frames.numbers)
    rows, landmarks = np.nonzero(suspects & (names[video] != "")[:, None])
    order = np.lexsort((numbers[rows], landmarks, video[rows]))
    rows, landmarks = rows[order], landmarks[order]
    gaps = np.array([gap or _usual_gap(numbers[video == v]) for v in range(len(names))])
    other = (np.diff(video[rows]) != 0) | (np.diff(landmarks) != 0)
    other |= np.diff(numbers[rows]) > gaps[video[rows[1:]]]
    parts = np.split(np.arange(len(rows)), np.flatnonzero(other) + 1)
    tracks = []
    for part in (part for part in parts if len(part)):
        own, landmark = rows[part], int(landmarks[part[0]])
        track = Track(
            str(names[video[own[0]]]),
            landmark,
            own,
            int(numbers[own[0]]),
            int(numbers[own[-1]]),
            float(scores[own, landmark].max()),
            Counter(map(str, reasons[own, landmark])).most_common(1)[0][0],
        )
        tracks.append(track)
    return sorted(tracks, key=lambda track: -track.score)


def audit_tracks(audit: Audit, frames: Frames, gap: int | None = None) -> list[Track]:
    """Return the tracks of an audit's suspects in videos, worst first.

    Args:
        audit: Best told which samples are of one video, by ``groups`` of
            :func:`~semamb_mm.audit.decide`.
        frames: Of its samples.
        gap: See :func:`find_tracks`.
    """
    tracks = find_tracks(frames, audit.suspects, audit.scores, audit.reasons, gap)
    calibration, scores = audit.calibration, audit.calibration.scores
    odd = calibration.used & (scores.mirrored >= audit.threshold)
    alike = find_tracks(frames, odd, scores.mirrored, audit.reasons, gap)
    levels = np.array([track.score for track in alike])
    single = calibration.used & (scores.given >= audit.threshold)
    share = calibration.false_share(audit.threshold)
    together = 0.0
    expected: list[float] = []
    for number, track in enumerate(tracks, 1):
        whole = ~single[track.rows, track.landmark]
        together += np.sum(1 - audit.precisions[track.rows, track.landmark][whole])
        false = share * (1 + np.sum(levels >= track.score))
        expected.append(max(0.0, 1 - (together + false) / number))
    highest = np.maximum.accumulate([0.0, *expected[::-1]])[:0:-1]
    return [replace(t, precision=float(p)) for t, p in zip(tracks, highest)]


def _usual_gap(numbers: np.ndarray) -> int:
    """Return the gap of a video whose samples have these frame numbers."""
    steps = np.diff(np.unique(numbers))
    return max(GAP, round(_STEPS * float(np.median(steps)))) if len(steps) else GAP
