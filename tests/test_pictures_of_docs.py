"""docs/pictures.py, which draws the docs' pictures from what the demo left."""

from pathlib import Path

import cv2
import numpy as np

from docs import pictures


def test_pictures_come_from_the_demos_last_checkpoint(tmp_path, monkeypatch):
    demo, docs = tmp_path / "demo", tmp_path / "docs"
    (demo / "train").mkdir(parents=True)
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
    pictures.main(demo, docs)
    assert {path.name for path in docs.iterdir()} == {
        *("demo_faces.jpg", "demo_moves.png", "demo_training.png")
    }
    assert cv2.imread(str(docs / "demo_faces.jpg")).shape == (20, 40, 3)
