"""docs/pictures.py, which draws the docs' pictures from what the demo left."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from docs import pictures


def test_pictures_come_from_the_demos_last_checkpoint(tmp_path, monkeypatch):
    demo, docs = tmp_path / "demo", tmp_path / "docs"
    (demo / "train").mkdir(parents=True)
    (demo / "targets").mkdir()
    (demo / "targets/targets.gif").touch()
    docs.mkdir()
    # As it was where the demo ran; the folder may have been moved.
    (demo / "train/last_checkpoint").write_text("/elsewhere/train/epoch_20.pth")

    def inspect(arguments):
        assert arguments[1] == str(demo / "train/epoch_20.pth")
        out = Path(arguments[arguments.index("--out-dir") + 1])
        out.mkdir()
        for name in ("faces.png", "moves.png"):
            cv2.imwrite(str(out / name), np.full((20, 40, 3), 90, np.uint8))

    def plot(arguments):
        assert arguments[0] == str(demo / "train")
        Path(arguments[-1]).touch()

    monkeypatch.setattr(pictures.inspect_targets, "main", inspect)
    monkeypatch.setattr(pictures.plot_training, "main", plot)
    monkeypatch.setattr(pictures, "BROWSER", ("no such program",))
    pictures.main(demo, docs)
    assert {path.name for path in docs.iterdir()} == {
        *("demo_faces.jpg", "demo_moves.png", "demo_targets.gif", "demo_training.png")
    }
    assert cv2.imread(str(docs / "demo_faces.jpg")).shape == (20, 40, 3)


def test_pages_are_photographed(tmp_path):
    if not all(map(shutil.which, pictures.BROWSER)):
        pytest.skip("no Chromium with its driver")
    pytest.importorskip("selenium", reason="no selenium")
    page = (
        "<body style='margin: 0'><h1 style='margin: 0; height: 100px'>A</h1><h2>B</h2>"
        "<h2 class='legend' style='margin: 0; height: 50px; background: red'>C</h2>"
    )
    figure = "<figure style='display: inline-block; width: 370px; height: 300px; "
    page += "<p>" + 4 * f"{figure} margin: 6px; vertical-align: top'></figure>"
    for name in ("audit.html", "review.html"):
        (tmp_path / name).write_text(page)
    pictures.photograph(tmp_path, tmp_path)
    verdict, samples, review = (
        cv2.imread(str(tmp_path / f"{name}.jpg"))
        for name in ("audit_verdict", "audit_samples", "review_page")
    )
    assert review.shape == (pictures.HEIGHT, pictures.WIDTH, 3)
    assert 100 < verdict.shape[0] < samples.shape[0] < pictures.HEIGHT
    assert samples[25, 600, 2] > 200 and samples[25, 600, 0] < 60
