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
from .tracks import Track

SUSPECTS = 300  # at most, unless another number is asked for
# Longest sides of the pictures, pixels: 300 of both make about 20 MB.
_WHOLE, _DETAIL = 320, 384
# What the view of a suspect shows, in sizes of its sample, and in distances of the
# proposal; the picture of it reaches a little farther.
_VIEW, _DISTANCES, _LEAST_VIEW, _BEYOND = 0.4, 2.5, 16, 1.3
_FRAMES = 5  # of a track that are shown
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
        limit: Suspects at most that are shown, or one track. Of a track five frames
            are, at most; its others are on the page without a picture, to be decided
            with it.

    Returns:
        How many suspects are on it.
    """
    suspects, asked, tracks = _chosen(review, limit)
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
        **_questions(review, suspects, asked, read_image),
    )
    _tell_tracks(content, review, suspects, tracks)
    with atomic_write(path, encoding="utf-8") as file:
        file.write(_page(f"Review: {name}", content))
    return len(suspects)


def _chosen(
    review: Review, limit: int | None
) -> tuple[np.ndarray, np.ndarray, list[Track]]:
    """Return what is on the page.

    Returns:
        Sample and landmark of the suspects ``(S, 2)``, worst first; which of them are
        shown, ``(S,)`` bool; and the tracks.
    """
    worst = review.worst()
    if not review.tracks:
        return worst[:limit], np.ones(len(worst[:limit]), bool), []
    track_of = {
        (row, track.landmark): track for track in review.tracks for row in track.rows
    }
    tracks: dict[int, Track] = {}
    shown: set[tuple[int, int]] = set()
    for i, k in worst.tolist():
        track = track_of.get((i, k))
        more = {(i, k)} if track is None else set(_frames_to_show(review, track))
        if more <= shown:
            continue
        if shown and limit is not None and len(shown | more) > limit:
            break
        shown |= more
        if track is not None:
            tracks[id(track)] = track
    kept = shown | {(r, t.landmark) for t in tracks.values() for r in t.rows}
    suspects = np.array([p for p in worst.tolist() if tuple(p) in kept], int)
    suspects = suspects.reshape(-1, 2)
    asked = np.array([tuple(p) in shown for p in suspects.tolist()], bool)
    return suspects, asked, list(tracks.values())


def _frames_to_show(review: Review, track: Track) -> list[tuple[int, int]]:
    """Return the worst suspect of a track, its ends, and some between them."""
    rows, k = track.rows, track.landmark
    worst = int(np.argmax(review.scores[rows, k]))
    some = np.linspace(0, len(rows) - 1, _FRAMES - 1).round().astype(int)
    return [(int(rows[j]), k) for j in {worst, *some.tolist()}]


def _tell_tracks(
    content: dict, review: Review, suspects: np.ndarray, tracks: list[Track]
) -> None:
    """Say of each suspect which track it is of and the number of its frame there."""
    content["tracks"] = [
        dict(video=t.video, first=t.first, last=t.last, count=len(t.rows))
        for t in tracks
    ]
    places = {
        (row, track.landmark): (number, frame, track.precision)
        for number, track in enumerate(tracks)
        for frame, row in enumerate(track.rows)
    }
    sizes: dict[int, list] = {}  # of a track's frames, all alike
    for question, place in zip(content["suspects"], suspects.tolist()):
        track, frame, precision = places.get(tuple(place), (None, 0, np.nan))
        question.update(track=track, frame=frame)
        if not np.isnan(precision):
            question["precision"] = round(precision, 3)
        size = content["samples"][question["sample"]]["size"]
        if track is not None and size is not None:
            sizes[track] = size
    for question in content["suspects"]:
        sample = content["samples"][question["sample"]]
        if sample["size"] is None and not sample["problem"]:
            sample["size"] = sizes.get(question["track"])


def _questions(
    review: Review, suspects: np.ndarray, shown: np.ndarray, read_image: Callable
) -> dict:
    """Return the suspects and their samples, with pictures, as the page reads them."""
    sizes = sample_sizes(review.annotations)
    samples: list[dict] = []
    asked: list[dict] = [{} for _ in suspects]
    for number, i in enumerate(dict.fromkeys(suspects[:, 0].tolist())):
        image, problem = None, ""
        of_sample = np.flatnonzero(suspects[:, 0] == i)
        if shown[of_sample].any():
            try:
                image = read_image(i)
            except (OSError, ValueError, cv2.error) as error:
                problem = str(error)
        samples.append(dict(_sample(review, i, image), problem=problem))
        if image is None and not problem:  # nobody looks at the other landmarks
            points = np.where(
                review.suspects[i, :, None], review.annotations[i], np.nan
            )
            samples[-1]["points"] = _rounded(points)
        whole = samples[-1]["picture"]
        # Where that was not reduced, no closer picture says more.
        reduced = whole is not None and max(whole["width"], whole["height"]) > _WHOLE
        for j in of_sample:
            place = (i, int(suspects[j, 1]))
            question = _question(review, place, sizes[i], image if reduced else None)
            view = question["view"] if shown[j] else None
            asked[j] = dict(question, view=view, sample=number)
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
