"""Procedural faces are the same for ever: published figures were measured on them.

The digests were taken before the package was divided into rooms. Where OpenCV or the
processor differs from those of the tested set, pixels may differ by rounding, so that
they are compared on the tested set alone; landmarks are compared everywhere.
"""

import hashlib
import platform

import cv2
import numpy as np
import pytest

from semamb_mm.synthetic.annotators import NOISE_PRESETS
from semamb_mm.synthetic.faces import annotate, render_face, true_keypoints
from semamb_mm.synthetic.videos import SyntheticVideo, annotate_track

TESTED = cv2.__version__ == "5.0.0" and platform.machine() == "x86_64"


def digest(*arrays) -> str:
    """Of arrays' bytes; real numbers count to 1/1000."""
    sha = hashlib.sha256()
    for array in arrays:
        if np.issubdtype(array.dtype, np.floating):
            array = (np.round(array.astype(np.float64), 3) + 0.0).astype(np.float32)
        sha.update(np.ascontiguousarray(array).tobytes())
    return sha.hexdigest()[:16]


def faces(seed, size):
    return [render_face(seed, index, size, occlusion=0.5) for index in range(12)]


def test_landmarks_of_faces():
    """The truth, its tangents and what hides it."""
    drawn = faces(0, 160) + faces(7, 96)
    assert digest(*(face.keypoints for face in drawn)) == "bc5bb4f2971f9b65"
    assert digest(*(face.tangents for face in drawn)) == "0da801b09c92033c"
    assert digest(*(face.occluded for face in drawn)) == "6dcb799f84ea6095"
    alone = [true_keypoints(0, index, 160) for index in range(12)]
    assert digest(*alone) == digest(*(face.keypoints for face in drawn[:12]))


@pytest.mark.parametrize(
    "noise, expected",
    [
        ("none", "ed6211e632403aef"),
        ("realistic", "d8e0f0420d38b4c9"),
        ("heavy", "18d36fc796ddba00"),
        ("gross", "02c3684644150f17"),
    ],
)
def test_annotators_of_faces(noise, expected):
    """An annotator's errors, drawn in the same order."""
    marked = [
        annotate(face, np.random.default_rng([0, index, 2]), NOISE_PRESETS[noise])
        for index, face in enumerate(faces(0, 160))
    ]
    assert digest(*marked) == expected


def test_landmarks_of_videos():
    """Tracks and what an annotator who drifts makes of them."""
    video = SyntheticVideo(3, 1, 12)
    track = video.keypoints
    assert digest(track) == "24cd4f15cc4a01a9"
    marked = annotate_track(
        track, np.random.default_rng(5), NOISE_PRESETS["realistic"], 0.5, 12.0
    )
    assert digest(marked) == "04fc8b535f8cd036"


@pytest.mark.skipif(not TESTED, reason="pixels may round differently here")
def test_pixels():
    """Pictures and frames of videos."""
    assert digest(*(face.image for face in faces(0, 160))) == "19310a11b1805fdd"
    assert digest(*(face.image for face in faces(7, 96))) == "5e01643f2a12152c"
    video = SyntheticVideo(3, 1, 12, occlusion=1.0)
    assert digest(*(video.frame(number) for number in (0, 5, 11))) == "084067ccd161bcec"
