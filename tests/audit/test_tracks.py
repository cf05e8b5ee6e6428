"""Suspects of videos, grouped into stretches of frames."""

import numpy as np
import pytest

from semamb_mm.audit import decide
from semamb_mm.audit.tracks import Frames, audit_tracks, find_tracks

from .data_sets import faces, moves


def tracks_of(where, numbers, videos="a", gap=None):
    """Find tracks of suspects (row, landmark); scores are the frames' numbers."""
    numbers = np.asarray(numbers)
    suspects = np.zeros((len(numbers), 3), bool)
    suspects[tuple(np.transpose(where))] = True
    scores = numbers[:, None] + np.array([0.0, 0.1, 0.2])
    reasons = np.where(suspects, "wrong label", "").astype(object)
    frames = Frames(list(videos) * (len(numbers) // len(videos)), numbers)
    return find_tracks(frames, suspects, scores, reasons, gap)


def test_near_frames_of_a_landmark_are_one_track():
    """Samples come in any order."""
    rng = np.random.default_rng(0)
    numbers = rng.permutation(np.arange(1, 201))
    row = {number: i for i, number in enumerate(numbers)}
    frames = [*range(20, 60), 65, 75, *range(120, 130)]
    where = [(row[number], 1) for number in frames] + [(row[76], 2)]
    late, other, early = tracks_of(where, numbers)
    assert (early.video, early.landmark, early.first, early.last) == ("a", 1, 20, 75)
    assert early.extent == "a, frames 20 to 75"
    assert numbers[early.rows].tolist() == [*range(20, 60), 65, 75]
    assert (early.score, early.reason) == (75.1, "wrong label")
    assert (other.landmark, other.first, other.last) == (2, 76, 76)
    assert (late.first, late.last, len(late.rows)) == (120, 129, 10)
    assert len(tracks_of(where, numbers, gap=9)) == 4
    assert len(tracks_of(where, numbers, gap=45)) == 2


@pytest.mark.parametrize("stride, lengths", [(5, [2, 1]), (25, [3]), (1, [1, 1, 1])])
def test_the_gap_allows_for_the_stride(stride, lengths):
    """The second suspect is 2 samples on, the third one 3."""
    numbers = 1 + stride * np.arange(40)
    step = {1: (0, 12, 24), 5: (0, 2, 6), 25: (0, 2, 5)}[stride]
    found = tracks_of([(i, 0) for i in step], numbers)
    assert sorted(len(track.rows) for track in found) == sorted(lengths)


def test_videos_are_apart_and_still_images_have_none():
    numbers = np.repeat(np.arange(1, 11), 3)
    where = [(row, 0) for row in range(9)]
    found = tracks_of(where, numbers, videos=("a", "b", ""))
    assert sorted(track.video for track in found) == ["a", "b"]
    assert all(track.rows.tolist()[1] - track.rows[0] == 3 for track in found)
    assert tracks_of([(2, 0)], numbers, videos=("a", "b", "")) == []


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="2 videos, frame numbers"):
        Frames(["a", "b"], np.arange(3))
    with pytest.raises(ValueError, match="gap is 0 frames"):
        tracks_of([(0, 0)], [1, 2], gap=0)


def videos_with_slips(seed=1, videos=12, frames=40):
    """Return an audit, its frames, and which annotations slipped for 20 frames."""
    data = faces(videos * frames, failing=0.02, seed=seed)
    rng = np.random.default_rng(seed)
    slipped = np.zeros(data.wrong.shape, bool)
    annotations = data.annotations.copy()
    for video in range(8):
        first, landmark = video * frames + rng.integers(20), rng.integers(16)
        slipped[first : first + 20, landmark] = True
        annotations[first : first + 20, landmark] += moves(np.ones(1), 25, rng)
    names = [f"video {video}" for video in range(videos)]
    numbers = np.tile(np.arange(1, frames + 1), videos)
    of = Frames(np.repeat(names, frames).tolist(), numbers)
    audit = decide(
        data.arrays[0], annotations, *data.arrays[2:], groups=of.videos, threshold=0.0
    )
    return audit, of, slipped


def test_how_many_tracks_are_wrong_is_told_by_tracks():
    """False alarms are short: fewer tracks are wrong than suspects."""
    audit, frames, slipped = videos_with_slips()
    tracks = audit_tracks(audit, frames)
    right = np.array([slipped[t.rows, t.landmark].mean() > 0.5 for t in tracks])
    assert right.sum() == 8 and right[:6].all() and len(tracks) > 20
    stated = np.array([track.precision for track in tracks])
    assert (np.diff(stated) <= 0).all() and stated[0] > 0.5
    assert slipped[audit.suspects].mean() > 0.8
    assert stated[-1] <= right.mean() < 0.4
