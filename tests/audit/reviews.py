"""A small audit to be reviewed: faces of 68 points in pictures of four colours."""

import json
import re

import numpy as np

from semamb_mm.audit.review import Review, mark_up
from semamb_mm.formats.pts import read_pts, write_pts
from tests.trees.faces import face_68

SIZE = (120, 100)  # width, height, as the trees' images
COLOURS = ((40, 40, 200), (40, 200, 40), (200, 40, 40), (40, 200, 200))  # BGR


def picture(scale=1):
    """Four quarters, each of one colour."""
    width, height = (scale * side for side in SIZE)
    image = np.empty((height, width, 3), np.uint8)
    for i, colour in enumerate(COLOURS):
        rows = slice(height // 2) if i < 2 else slice(height // 2, None)
        columns = slice(width // 2) if i % 2 == 0 else slice(width // 2, None)
        image[rows, columns] = colour
    return image


def review_of(keys, annotations, suspects=4, **changes):
    """Ask about a few landmarks of each sample; proposals lie 6 px to the right.

    The scores fall from sample to sample and from landmark to landmark.
    """
    count = len(keys)
    asked = np.zeros((count, 68), bool)
    asked[:, 10 : 10 + suspects] = True
    scores = 50.0 - 10 * np.arange(count)[:, None] - np.arange(68) / 10
    reasons = np.where(np.arange(68) % 2, "left and right", "far").astype(object)
    names, links = mark_up(68)
    fields = dict(
        keys=keys,
        paths=[f"images/{key}.png" for key in keys],
        annotations=np.asarray(annotations, np.float64),
        scores=scores,
        suspects=asked,
        reasons=np.broadcast_to(reasons, asked.shape),
        precisions=np.full(asked.shape, 0.8),
        names=names,
        links=links,
    )
    if "proposals" not in changes:
        fields["proposals"] = fields["annotations"] + (6, 0)
    return Review(**{**fields, **changes})


def write_tree(folder, seed=0, count=3):
    """A folder of .pts files, and their review."""
    keys = [f"{i:06d}" for i in range(count)]
    folder.mkdir(parents=True)
    for i, key in enumerate(keys):
        write_pts(folder / f"{key}.pts", face_68(seed + i))
        (folder / f"{key}.png").write_bytes(b"not looked at")
    return review_of(keys, [read_pts(folder / f"{key}.pts") for key in keys])


def content_of(path):
    """What a page holds, as its script reads it."""
    text = path.read_text(encoding="utf-8")
    (found,) = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', text)
    return json.loads(found)


def decisions_file(path, review, made, **changes):
    """Write what the page exports: (sample, landmark, decision, point) each."""
    entries = []
    for sample, landmark, decision, point in made:
        annotation = review.annotations[review.keys.index(sample), landmark]
        place = annotation.round(3).tolist()
        entries.append(
            dict(
                sample=sample,
                landmark=landmark,
                decision=decision,
                annotation=place,
                point=point,
            )
        )
    samples = {key: dict(image="", size=list(SIZE)) for key in review.keys}
    content = dict(
        format="semamb_mm decisions",
        version=1,
        fingerprint="0" * 64,
        num_keypoints=review.annotations.shape[1],
        samples=samples,
        decisions=entries,
    )
    path.write_text(json.dumps({**content, **changes}))
    return path
