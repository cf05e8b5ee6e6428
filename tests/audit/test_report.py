"""Tables and the page of an audit."""

import csv
import re

import numpy as np
import pytest

from semamb_mm.audit import decide
from semamb_mm.audit.report import (
    verdict,
    write_landmarks,
    write_page,
    write_samples,
    write_tracks,
)
from semamb_mm.audit.tracks import Frames, audit_tracks
from semamb_mm.pictures.targets import COLOURS, MOVE_COLOUR

from .test_scores import annotated


@pytest.fixture
def audit():
    annotations, predictions, wrong = annotated(20)
    annotations[5, 2] = np.nan
    keys = [f"<face {i}>" for i in range(20)]
    return decide(keys, annotations, predictions, np.ones(wrong.shape), threshold=1)


def read(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def test_landmarks_are_listed_worst_first(audit, tmp_path):
    write_landmarks(tmp_path / "landmarks.csv", audit)
    rows = read(tmp_path / "landmarks.csv")
    assert list(rows[0]) == [
        "sample", "landmark", "score", "suspect", "reason", "expected_precision",
        "confidence", "distance_percent",
        "annotation_x", "annotation_y", "prediction_x", "prediction_y",
        "target_x", "target_y",
    ]  # fmt: skip
    assert len(rows) == 20 * 12 - 1  # one is not annotated
    scores = [float(row["score"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert sum(row["suspect"] == "1" for row in rows) == audit.suspects.sum() > 0
    i, k = audit.keys.index(rows[0]["sample"]), int(rows[0]["landmark"])
    assert scores[0] == pytest.approx(audit.scores[i, k], abs=1e-3)
    assert rows[0]["reason"] == audit.reasons[i, k] != ""
    expected = float(rows[0]["expected_precision"])
    assert expected == pytest.approx(audit.precisions[i, k], abs=1e-3)
    assert rows[-1]["reason"] == rows[-1]["expected_precision"] == ""
    place = float(rows[0]["annotation_x"]), float(rows[0]["annotation_y"])
    assert place == pytest.approx(audit.annotations[i, k].tolist(), abs=0.01)


def test_samples_are_listed_worst_first(audit, tmp_path):
    write_samples(tmp_path / "samples.csv", audit)
    rows = read(tmp_path / "samples.csv")
    assert [row["sample"] for row in rows] == [audit.keys[i] for i in audit.order]
    for row, i in zip(rows, audit.order):
        landmarks = [int(k) for k in row["landmarks"].split()]
        assert landmarks == np.flatnonzero(audit.suspects[i]).tolist()
        assert int(row["suspects"]) == len(landmarks)


def test_the_page_needs_no_other_file_and_names_missing_pictures(audit, tmp_path):
    def read_image(i):
        if i == audit.order[0]:
            raise OSError("a.jpg cannot be read")
        return np.full((90, 90, 3), 128, np.uint8)

    path = tmp_path / "audit.html"
    write_page(path, audit, read_image, "tiny<config>", "By <one>.", num_faces=3)
    assert [p.name for p in tmp_path.iterdir()] == ["audit.html"]
    page = path.read_text()
    assert page.count("<figure>") == 3 and page.count("data:image/jpeg") == 2
    assert page.count("data:image/png") == 1 and "no picture: a.jpg cannot" in page
    assert "tiny&lt;config&gt;" in page and "&lt;face" in page
    assert verdict(audit) in page and "By &lt;one&gt;." in page
    assert "<td>wrong label</td>" in page
    assert "Prediction minus annotation over all samples" in page
    assert "in % of the size of the landmarks' box" in page  # are no faces of 68
    assert "By track" not in page and "tracks" not in verdict(audit)


def test_suspects_of_videos_are_listed_by_track(audit, tmp_path):
    frames = Frames(["<a>", "b"] * 10, np.arange(20))
    tracks = audit_tracks(audit, frames)
    write_tracks(tmp_path / "tracks.csv", tracks)
    rows = read(tmp_path / "tracks.csv")
    assert list(rows[0]) == [
        "video", "landmark", "first_frame", "last_frame", "suspects", "worst_score",
        "reason", "expected_precision",
    ]  # fmt: skip
    assert len(rows) == len(tracks)
    assert sum(int(row["suspects"]) for row in rows) == audit.suspects.sum()
    assert rows[0]["worst_score"] == f"{audit.scores[audit.suspects].max():.3f}"
    write_page(
        tmp_path / "audit.html", audit, lambda i: None, "c", "e", 0, tracks=tracks
    )
    page = (tmp_path / "audit.html").read_text()
    assert "<h2>By track</h2>" in page and "<td>&lt;a&gt;</td>" in page
    assert f"They make {len(tracks)} tracks" in page
    assert '<a href="tracks.csv">tracks.csv</a>' in page


def test_the_page_says_what_is_drawn_and_calls_landmarks_by_name(audit, tmp_path):
    def read_image(i):
        return np.full((90, 90, 3), 128, np.uint8)

    names = [f"chin <{k}>" for k in range(12)]
    path = tmp_path / "audit.html"
    write_page(path, audit, read_image, "c", "h", num_faces=2, names=names)
    page = path.read_text()
    worst = int(np.argmax(audit.suspects.sum(0)))
    assert f"<td>{worst} chin &lt;{worst}&gt;</td>" in page
    i = audit.order[0]
    k = max(np.flatnonzero(audit.suspects[i]), key=lambda k: audit.scores[i, k])
    assert f"suspects: {k} chin &lt;{k}&gt; ({audit.reasons[i, k]})" in page
    for table in ("landmarks.csv", "samples.csv"):
        assert f'<a href="{table}">{table}</a>' in page
    legend = re.search(r'<p class="legend">(.*)</p>', page)[1]
    shown = re.findall(r"rgb\((\d+), (\d+), (\d+)\)\">[^<]*</b> ([^<]*)<", legend)
    drawn = dict(
        {"from annotation to proposal": MOVE_COLOUR},
        annotation=COLOURS["annotation"],
        prediction=COLOURS["prediction"],
        **{"proposed label, elsewhere the annotation": COLOURS["latent"]},
    )
    assert {name: (int(b), int(g), int(r)) for r, g, b, name in shown} == drawn
    assert "latent target" not in page


def test_a_page_without_suspects_says_so(audit, tmp_path):
    calm = decide(
        audit.keys, audit.annotations, audit.predictions, audit.confidences,
        threshold=1e9,
    )  # fmt: skip
    write_page(tmp_path / "audit.html", calm, lambda i: None, "c", "e")
    page = (tmp_path / "audit.html").read_text()
    assert "No suspects." in page
    assert "0 of 239 annotated landmarks of 20 samples are suspects: no list" in page


def test_the_verdict_says_how_much_to_believe(audit):
    said = verdict(audit)
    assert (
        f"{audit.suspects.sum()} of 239 annotated landmarks of 20 samples are" in said
    )
    assert f"{audit.precision.value:.0%} of them are expected to be wrong" in said
