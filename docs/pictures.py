"""Draw the pictures of these pages anew from what `make demo` left: `make pictures`.

Of generated faces alone; see CONTRIBUTING.md.
"""

import shutil
import sys
from pathlib import Path

import cv2

from tools.analysis import inspect_targets, plot_training

DOCS = Path(__file__).parent
CONFIG = "configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"


def main(demo="demo_output", docs=DOCS):
    """Draw what became of two faces, of all landmarks, and of the training."""
    demo, docs = Path(demo), Path(docs)
    train, drawn = demo / "train", demo / "docs"
    checkpoint = (train / "last_checkpoint").read_text().strip()
    options = ["--num-faces", "2", "--pick", "moved", "--out-dir", str(drawn)]
    # By its name, wherever the folder is now.
    checkpoint = train / Path(checkpoint).name
    inspect_targets.main([CONFIG, str(checkpoint), *options])
    faces = cv2.imread(str(drawn / "faces.png"))
    jpeg = [cv2.IMWRITE_JPEG_QUALITY, 88]
    cv2.imwrite(str(docs / "demo_faces.jpg"), faces, jpeg)
    shutil.copy(drawn / "moves.png", docs / "demo_moves.png")
    training = docs / "demo_training.png"
    plot_training.main([str(train), "--start", "8", "--out", str(training)])


if __name__ == "__main__":
    main(*sys.argv[1:])
