"""Suspects of videos, grouped into stretches of frames."""

import numpy as np
import pytest

from semamb_mm.audit.tracks import Frames, find_tracks


def tracks_of(where, numbers, videos="a", gap=None):
    """Find tracks of suspects (row, landmark); scores are the frames' numbers."""
    numbers = np.asarray(numbers)
    suspects = np.zeros((len(numbers), 3), bool)
    suspects[tuple(np.transpose(where))] = True
    scores = numbers[:, None] + np.array([0.0, 0.1, 0.2])
    reasons = np.where(suspects, "wrong label", "").astype(object)
    frames = Frames(list(videos) * (len(numbers) // len(videos)), numbers)
    precisions = np.where(suspects, 1 - numbers[:, None] / 1000, np.nan)
    return find_tracks(frames, suspects, scores, reasons, precisions, gap)


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
    assert early.precision == pytest.approx(0.925)  # the least
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
