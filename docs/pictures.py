"""Draw the pictures of these pages anew from what `make demo` left: `make pictures`.

Of generated faces alone; see CONTRIBUTING.md. Those of the audit's pages need Chromium
with its driver.
"""

import base64
import shutil
import sys
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from tools.analysis import inspect_targets, plot_training

DOCS = Path(__file__).parent
JPEG = [cv2.IMWRITE_JPEG_QUALITY, 88]
BROWSER = ("chromium", "chromedriver")
WIDTH, HEIGHT = 1240, 820
# Of the part of a page between two elements, in CSS pixels: top, and height.
PART = """
const top = name => document.querySelector(name).getBoundingClientRect().top
return [top(arguments[0]) + scrollY, top(arguments[1]) - top(arguments[0])]
"""
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
    cv2.imwrite(str(docs / "demo_faces.jpg"), faces, JPEG)
    shutil.copy(drawn / "moves.png", docs / "demo_moves.png")
    shutil.copy(demo / "targets/targets.gif", docs / "demo_targets.gif")
    training = docs / "demo_training.png"
    plot_training.main([str(train), "--start", "8", "--out", str(training)])
    if all(map(shutil.which, BROWSER)):
        photograph(demo / "audit", docs)
    else:
        print(f"no {' and '.join(BROWSER)}: audit_*.jpg and review_page.jpg stay")


def photograph(audit, docs):
    """Take the audit page's verdict, its worst samples, and a review page."""
    with browser() as driver:
        driver.get((audit / "audit.html").resolve().as_uri())
        for name, part in dict(
            audit_verdict=("h1", "h2 ~ h2"),
            audit_samples=(".legend", "figure:nth-of-type(4)"),  # three in a row
        ).items():
            top, height = driver.execute_script(PART, *part)
            write_jpeg(shown(driver, top, height), docs / f"{name}.jpg")
        driver.get((audit / "review.html").resolve().as_uri())
        write_jpeg(shown(driver, 0, HEIGHT), docs / "review_page.jpg")


@contextmanager
def browser():
    """Yield a browser without a window."""
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    program, driver = map(shutil.which, BROWSER)
    options.binary_location = program
    for option in ("--headless", "--no-sandbox", "--hide-scrollbars"):
        options.add_argument(option)
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    metrics = dict(width=WIDTH, height=HEIGHT, deviceScaleFactor=1, mobile=False)
    opened.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    try:
        yield opened
    finally:
        opened.quit()


def shown(driver, top, height):
    """Return a part of the page that is open, BGR."""
    clip = dict(x=0, y=top, width=WIDTH, height=height, scale=1)
    options = dict(clip=clip, captureBeyondViewport=True)
    taken = driver.execute_cdp_cmd("Page.captureScreenshot", options)
    png = np.frombuffer(base64.b64decode(taken["data"]), np.uint8)
    return cv2.imdecode(png, cv2.IMREAD_COLOR)


def write_jpeg(picture, path):
    """Write a picture at the docs' quality."""
    cv2.imwrite(str(path), picture, JPEG)


if __name__ == "__main__":
    main(*sys.argv[1:])
