"""studies/audit_tracks.py: planted stretches, figures and the table."""

import argparse

import numpy as np
import pytest

from semamb_mm.audit import Markup
from semamb_mm.audit.tracks import Frames
from semamb_mm.faces.sizes import face_size
from semamb_mm.pose.finished.held_out import Predictions
from studies import audit_tracks
from tests.audit.data_sets import faces


@pytest.fixture(scope="module")
def videos():
    """Three videos whose faces differ from frame to frame, and a detector."""
    data = faces(120, landmarks=68, seed=1)
    numbers = np.tile(np.arange(1, 41), 3)
    frames = Frames(np.repeat(["a", "b", "c"], 40).tolist(), numbers)
    shape = data.confidences.shape
    found = Predictions(
        data.points, data.confidences, np.ones(shape), np.ones(shape, bool)
    )
    return data.annotations, found, frames, Markup()


def test_planted_slips_last(videos):
    points, _, frames, _ = videos
    spoilt, stretches = audit_tracks.plant_tracks(points, frames, 0.02, seed=4)
    moved = np.linalg.norm(spoilt - points, axis=-1) / face_size(points)[:, None]
    np.testing.assert_array_equal(stretches > 0, moved > 0)
    assert 0.02 <= (stretches > 0).mean() < 0.03
    for number in range(1, stretches.max() + 1):
        rows, landmarks = np.nonzero(stretches == number)
        assert len(set(landmarks)) == 1 and len({frames.videos[i] for i in rows}) == 1
        length = moved[rows, landmarks]
        assert np.ptp(length) < 1e-9 and length[0].round(9) in audit_tracks.SLIPS
        assert 15 <= len(rows) <= 40 and (np.diff(rows) == 1).all()
    assert not audit_tracks.plant_tracks(points, frames, 0.0, seed=4)[1].any()


def test_the_table_says_what_is_stated_and_what_is_true(videos, monkeypatch):
    monkeypatch.setattr(audit_tracks, "judged", lambda args, seed: videos)
    monkeypatch.setattr(audit_tracks, "RATES", (0.02,))
    found = audit_tracks.rows(argparse.Namespace(seeds=[4]))
    assert [row["evidence"] for row in found] == ["videos", "frames"]
    _, stretches = audit_tracks.plant_tracks(videos[0], videos[2], 0.02, seed=4)
    for row in found:
        assert row["planted"] == (stretches > 0).sum()
        assert row["stretches"] == stretches.max() and row["lists"] == 5
    head, _, *lines = audit_tracks.table(found).splitlines()
    assert len(lines) == 2 and head.count("|") == lines[0].count("|") == 13
    assert lines[0].startswith(f"| 2 % | videos | {(stretches > 0).sum()} |")
