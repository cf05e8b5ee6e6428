"""One page on which a person decides about suspects: no server, no other files."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from semamb_mm.faces.sizes import sample_sizes
from semamb_mm.formats.files import atomic_write
from semamb_mm.pictures.embedded import embedded_image

from .decisions import FORMAT, VERSION
from .review import Review, fingerprint, typical_shape

SUSPECTS = 300  # at most, unless another number is asked for
# Longest sides of the pictures, pixels: 300 of both make about 20 MB.
_WHOLE, _DETAIL = 320, 384
# What the view of a suspect shows, in sizes of its sample, and in distances of the
# proposal; the picture of it reaches a little farther.
_VIEW, _DISTANCES, _LEAST_VIEW, _BEYOND = 0.4, 2.5, 16, 1.3
_MARGIN = 0.2  # around a sample, share of the box of its landmarks


def write_review_page(
    path: str | os.PathLike,
    review: Review,
    read_image: Callable[[int], np.ndarray],
    name: str,
    limit: int = SUSPECTS,
) -> int:
    """Write a page to review the worst suspects on.

    Progress stays in the browser, under the audit's fingerprint. The page gives a file
    that :func:`~semamb_mm.audit.decisions.read_decisions` reads.

    Args:
        path: The html file; it appears whole or not at all.
        review: What to ask.
        read_image: Gives a sample's image, ``(H, W, 3)`` uint8, BGR. OSError,
            ValueError and OpenCV's errors stand in the picture's place.
        name: Of the audit, for the title.
        limit: Suspects at most.

    Returns:
        How many suspects are on it.
    """
    suspects = review.worst(limit)
    content = dict(
        format=FORMAT,
        version=VERSION,
        fingerprint=fingerprint(review, suspects),
        name=name,
        found=int(review.suspects.sum()),
        num_keypoints=review.annotations.shape[1],
        names=list(review.names),
        links=[list(map(int, pair)) for pair in review.links],
        shape=_rounded(typical_shape(review.annotations), 4),
        **_questions(review, suspects, read_image),
    )
    with atomic_write(path, encoding="utf-8") as file:
        file.write(_page(f"Review: {name}", content))
    return len(suspects)


def _questions(review: Review, suspects: np.ndarray, read_image: Callable) -> dict:
    """Return the suspects and their samples, with pictures, as the page reads them."""
    sizes = sample_sizes(review.annotations)
    samples: list[dict] = []
    asked: list[dict] = [{} for _ in suspects]
    for number, i in enumerate(dict.fromkeys(suspects[:, 0].tolist())):
        try:
            image, problem = read_image(i), ""
        except (OSError, ValueError, cv2.error) as error:
            image, problem = None, str(error)
        samples.append(dict(_sample(review, i, image), problem=problem))
        whole = samples[-1]["picture"]
        # Where that was not reduced, no closer picture says more.
        reduced = whole is not None and max(whole["width"], whole["height"]) > _WHOLE
        for j in np.flatnonzero(suspects[:, 0] == i):
            place = (i, int(suspects[j, 1]))
            question = _question(review, place, sizes[i], image if reduced else None)
            asked[j] = dict(question, sample=number)
    return dict(samples=samples, suspects=asked)


def _sample(review: Review, i: int, image: np.ndarray | None) -> dict:
    """Return a sample with a picture of what its landmarks enclose, if it has one."""
    points = review.annotations[i]
    size, picture = None, None
    if image is not None:
        size = list(image.shape[1::-1])
        corners = np.stack([np.nanmin(points, 0), np.nanmax(points, 0)])
        margin = _MARGIN * float((corners[1] - corners[0]).max()) + _LEAST_VIEW / 2
        picture = _crop(image, corners + [[-margin], [margin]], _WHOLE)
        picture = picture or _crop(image, np.array([(0, 0), size]), _WHOLE)
    return dict(
        key=str(review.keys[i]),
        path=str(review.paths[i]),
        size=size,
        points=_rounded(points),
        picture=picture,
    )


def _question(
    review: Review, place: tuple[int, int], size: float, image: np.ndarray | None
) -> dict:
    """Return a suspect, sample and landmark, with a closer picture if wanted."""
    annotation, proposal = review.annotations[place], review.proposals[place]
    other = proposal if np.isfinite(proposal).all() else annotation
    middle, distance = (annotation + other) / 2, np.linalg.norm(other - annotation)
    side = max(_VIEW * size, float(_DISTANCES * distance), _LEAST_VIEW)
    half = _BEYOND * side / 2
    picture = None
    if image is not None:
        picture = _crop(image, np.stack([middle - half, middle + half]), _DETAIL)
    precision = np.nan if review.precisions is None else review.precisions[place]
    predictions = review.predictions
    return dict(
        landmark=place[1],
        score=round(float(review.scores[place]), 3),
        reason="" if review.reasons is None else str(review.reasons[place]),
        precision=None if np.isnan(precision) else round(float(precision), 3),
        proposal=_rounded(proposal),
        prediction=None if predictions is None else _rounded(predictions[place]),
        view=_rounded(np.append(middle, side)),
        picture=picture,
    )


def _crop(image: np.ndarray, corners: np.ndarray, longest: int) -> dict | None:
    """Return a part of an image and where it lies; None if it lies outside.

    Args:
        image: ``(H, W, 3)`` uint8, BGR.
        corners: ``(2, 2)``, the upper left one and the lower right one, image pixels.
        longest: Side of the picture, pixels, at most; it is never enlarged.

    Returns:
        Its address ``src`` and, in image pixels, ``x`` and ``y`` of its upper left
        corner (not of a pixel's centre), ``width`` and ``height``.
    """
    edge = image.shape[1::-1]
    x1, y1 = np.clip(np.floor(corners[0]), 0, edge).astype(int).tolist()
    x2, y2 = np.clip(np.ceil(corners[1]) + 1, 0, edge).astype(int).tolist()
    width, height = x2 - x1, y2 - y1
    if width < 1 or height < 1:
        return None
    part, scale = image[y1:y2, x1:x2], longest / max(width, height)
    if scale < 1:
        size = max(1, round(scale * width)), max(1, round(scale * height))
        part = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    place = dict(x=x1 - 0.5, y=y1 - 0.5, width=width, height=height)
    return dict(src=embedded_image(part), **place)


def _rounded(points: np.ndarray, digits: int = 3) -> list | None:
    """Return points as lists of numbers, None in place of those that are not finite."""
    if points.ndim > 1:
        return [_rounded(point, digits) for point in points]
    if not np.isfinite(points).all():
        return None
    return [round(float(value), digits) for value in points]


def _page(title: str, content: dict) -> str:
    """Return the html file; its policy lets nothing run or load but what is in it."""
    style, script = _template("css"), _template("js")
    parts = dict(
        TITLE=html.escape(title),
        POLICY=(
            "default-src 'none'; img-src data:; "
            f"style-src {_digest(style)}; script-src {_digest(script)}"
        ),
        STYLE=style,
        SCRIPT=script,
        # No text can end the element, or begin a comment in it.
        CONTENT=json.dumps(content, allow_nan=False).replace("<", "\\u003c"),
    )
    pieces = _template("html").split("@@")
    return "".join(parts.get(piece, piece) for piece in pieces)


def _template(kind: str) -> str:
    return Path(__file__).with_name(f"review_page.{kind}").read_text(encoding="utf-8")


def _digest(text: str) -> str:
    """Return how a content security policy names an inline style or script."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
