"""Small trees laid out as 300W, 300-VW and AFLW are handed out."""

from pathlib import Path

import cv2
import numpy as np
from scipy.io import savemat

from .videos import extract, write_annotations

SIZE = (120, 100)  # width, height
# Part of 300W to the number of its faces here.
PARTS = {
    "afw": 2,
    "helen/trainset": 3,
    "lfpw/trainset": 2,
    "helen/testset": 2,
    "lfpw/testset": 1,
    "ibug": 2,
}
AFLW_NAMES = (
    "0/image00002.jpg",
    "2/image00004.jpg",
    "2/image00004.jpg",
    "0/image00013.jpg",
    "3/image00032.jpg",
    "3/image00035.jpg",
)
# How many of these faces are trained on.
AFLW_TRAIN = 4


def write_image(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(0).integers(0, 255, (SIZE[1], SIZE[0], 3), np.uint8)
    assert cv2.imwrite(str(path), noise)


def face_68(seed: int) -> np.ndarray:
    """(68, 2) inside the image, three decimals as in 300W's files."""
    points = np.random.default_rng(seed).uniform((20, 15), (100, 90), (68, 2))
    return points.round(3)


def write_pts_by_hand(path: Path, keypoints: np.ndarray) -> None:
    """The text of iBUG's files."""
    rows = "".join(f"{x:.3f} {y:.3f}\n" for x, y in keypoints)
    text = f"version: 1\nn_points:  {len(keypoints)}\n{{\n{rows}}}\n"
    path.write_text(text)


def write_300w(root: Path, rename=str) -> Path:
    """300W; face n of a part has the landmarks ``face_68(n)``."""
    for part, count in PARTS.items():
        suffix = ".png" if "lfpw" in part else ".jpg"
        for number in range(1, count + 1):
            path = root / rename(part) / f"image_{number:04d}{suffix}"
            write_image(path)
            write_pts_by_hand(path.with_suffix(".pts"), face_68(number))
    return root


def write_300vw_frames(root: Path, videos, num_frames: int = 2) -> Path:
    """Extracted frames of videos."""
    for video in videos:
        extract(root, video, range(1, num_frames + 1))
        write_annotations(root / video / "annot", range(1, num_frames + 1))
    return root


def aflw_fields() -> dict:
    """What AFLWinfo_release.mat holds, for six faces in five images.

    Face 6 has a hidden landmark, and face 2 one without a label.
    """
    count = len(AFLW_NAMES)
    rng = np.random.default_rng(1)
    landmarks = rng.uniform((30, 20), (90, 80), (count, 19, 2))
    left_top = rng.uniform(10, 20, (count, 2))
    sides = rng.uniform(70, 80, (count, 1))
    corners = np.stack([left_top, left_top + sides], 2).reshape(count, 4)
    mask = np.ones((count, 19), np.uint8)
    mask[5, 3] = mask[1, 0] = 0
    landmarks[1, 0] = 0
    names = np.empty((count, 1), object)
    names[:, 0] = AFLW_NAMES
    return dict(
        nameList=names,
        data=landmarks.transpose(0, 2, 1).reshape(count, 38),
        bbox=corners,  # left, right, top, bottom
        mask_new=mask,
        ra=np.array([[3, 1, 6, 2, 5, 4]], np.uint16),
    )


def write_aflw(root: Path, **fields) -> Path:
    """AFLW's images and the list; ``fields`` replace those of the list."""
    for name in AFLW_NAMES:
        write_image(root / "data" / "flickr" / name)
    savemat(root / "AFLWinfo_release.mat", {**aflw_fields(), **fields})
    return root
