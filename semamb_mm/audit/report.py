"""An audit as tables, and as one page with pictures."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np

from semamb_mm.faces.sizes import face_unit, percent_unit
from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.tables import write_csv
from semamb_mm.pictures.embedded import embedded, embedded_image
from semamb_mm.pictures.moves import plot_moves
from semamb_mm.pictures.targets import COLOURS, MOVE_COLOUR, draw_targets

from .decision import Audit
from .moves import mean_shape
from .tracks import Track

_LISTED = 12  # suspects of a sample that the page names
_ROWS = 20  # of the page's table
_TRACKS = 100  # of the page's table of tracks


def write_landmarks(path: str | os.PathLike, audit: Audit) -> None:
    """Write every sample and landmark that is annotated, worst first."""
    header = ["sample", "landmark", "score", "suspect", "reason"]
    header += ["expected_precision", "confidence", "distance_percent"]
    kinds = ("annotation", "prediction", "target")
    header += [f"{kind}_{axis}" for kind in kinds for axis in "xy"]
    write_csv(path, header, _landmark_rows(audit))


def _landmark_rows(audit: Audit) -> Iterator[list]:
    percent = 100 / _unit(audit)
    scores = audit.scores
    for flat in np.argsort(-np.nan_to_num(scores, nan=-np.inf), axis=None):
        i, k = np.unravel_index(flat, scores.shape)
        if np.isnan(scores[i, k]):
            continue
        annotation, prediction = audit.annotations[i, k], audit.predictions[i, k]
        distance = np.linalg.norm(prediction - annotation) * percent[i]
        row = [audit.keys[i], k, f"{scores[i, k]:.3f}", int(audit.suspects[i, k])]
        row += [audit.reasons[i, k], _share(float(audit.precisions[i, k]))]
        row += [f"{audit.confidences[i, k]:.3f}", f"{distance:.2f}"]
        points = (annotation, prediction, audit.targets[i, k])
        yield row + [f"{value:.2f}" for point in points for value in point]


def write_samples(path: str | os.PathLike, audit: Audit) -> None:
    """Write every sample, worst first."""
    header = ["sample", "suspects", "worst_score", "landmarks", "reasons"]
    write_csv(path, header, _sample_rows(audit))


def _sample_rows(audit: Audit) -> Iterator[list]:
    for i in audit.order:
        suspects = audit.suspects[i]
        landmarks = " ".join(map(str, np.flatnonzero(suspects)))
        worst = np.nan_to_num(audit.scores[i], nan=-np.inf).max()
        reasons = "; ".join(dict.fromkeys(filter(None, audit.reasons[i])))
        yield [audit.keys[i], suspects.sum(), f"{worst:.3f}", landmarks, reasons]


def write_tracks(path: str | os.PathLike, tracks: Sequence[Track]) -> None:
    """Write the tracks of the suspects in videos, as they come."""
    header = ["video", "landmark", "first_frame", "last_frame", "suspects"]
    header += ["worst_score", "reason", "expected_precision"]
    write_csv(path, header, map(_track_row, tracks))


def _track_row(track: Track) -> list:
    row = [track.video, track.landmark, track.first, track.last, len(track.rows)]
    return row + [f"{track.score:.3f}", track.reason, _share(track.precision)]


def _share(value: float) -> str:
    return "" if np.isnan(value) else f"{value:.3f}"


def verdict(audit: Audit, tracks: Sequence[Track] = ()) -> str:
    """Return how many suspects there are and how many of them to believe, as text.

    Args:
        audit: What was found.
        tracks: Those of its suspects that are in videos.
    """
    known = int(np.isfinite(audit.annotations).all(-1).sum())
    suspects = audit.suspects
    text = (
        f"{suspects.sum()} of {known} annotated landmarks of {len(audit.keys)} samples"
    )
    text += " are suspects"
    if audit.precision is None:
        text += (
            f": no list of them would be right in {audit.wanted:.0%} of its lines, as "
            "far as can be told."
        )
    else:
        value, low, high = vars(audit.precision).values()
        text += (
            f", on {suspects.any(1).sum()} of them. "
            f"{value:.0%} of them are expected to be wrong ({low:.0%} to {high:.0%})."
        )
    if tracks:
        text += (
            f" They make {len(tracks)} tracks, stretches of frames in which one "
            f"landmark is suspect; {tracks[-1].precision:.0%} of the tracks at least "
            "are expected to be wrong, more of the worst."
        )
    unsure = int(audit.unsure.sum())
    if unsure:
        text += (
            f" On {unsure} others the detector disagrees but is unsure: occluded, "
            "faint, cut off, or the whole sample misjudged. They are no suspects."
        )
    return text


def write_page(
    path: str | os.PathLike,
    audit: Audit,
    read_image: Callable[[int], np.ndarray],
    name: str,
    how: str,
    num_faces: int = 40,
    tracks: Sequence[Track] = (),
    names: Sequence[str] = (),
) -> None:
    """Write one html file with everything in it; it links to the tables beside it.

    Args:
        path: The file.
        audit: What to show.
        read_image: Gives a sample's image, ``(H, W, 3)`` uint8, BGR. OSError,
            ValueError and OpenCV's errors stand in the picture's place.
        name: Of the config, for the title.
        how: Which model predicted, one sentence.
        num_faces: Pictures at most, of the worst samples.
        tracks: Those of the suspects that are in videos.
        names: ``(K,)`` of the landmarks; empty ones are numbered only.
    """
    names = names or [""] * audit.suspects.shape[1]
    called = [f"{k} {name}".strip() for k, name in enumerate(names)]
    suspects = audit.suspects
    shown = [i for i in audit.order[:num_faces] if suspects[i].any()]
    pictures = [_figure(audit, i, read_image, called) for i in shown]
    with atomic_write(path) as file:
        file.write(
            _PAGE.format(
                title=f"Annotation audit: {html.escape(name)}",
                verdict=html.escape(verdict(audit, tracks)),
                how=html.escape(how),
                unit=percent_unit(audit.annotations.shape[1]),
                reasons=_reason_rows(audit),
                what="Latent target" if audit.has_targets else "Prediction",
                ambiguity=_ambiguity(audit),
                tracks=_track_table(tracks, called),
                rows=_count_rows(suspects.sum(0), called),
                legend=_legend(),
                pictures="".join(pictures) or "<p>No suspects.</p>",
            )
        )


def _reason_rows(audit: Audit) -> str:
    return "".join(
        f"<tr><td>{reason}</td><td>{count}</td></tr>"
        for reason, count in audit.counts().items()
    )


def _unit(audit: Audit) -> np.ndarray:
    return face_unit(audit.annotations)


def _ambiguity(audit: Audit) -> str:
    """Draw how far targets, or predictions, lie from the annotations."""
    annotations = audit.annotations
    shown = audit.targets if audit.has_targets else audit.predictions
    moves = 100 * (shown - annotations) / _unit(audit)[:, None, None]
    with TemporaryDirectory() as folder:
        plot = Path(folder) / "ambiguity.png"
        plot_moves(
            np.where(audit.suspects[..., None], np.nan, moves),
            plot,
            percent_unit(annotations.shape[1]),
            mean_shape=mean_shape(annotations),
        )
        return embedded(plot.read_bytes(), "png")


def _legend() -> str:
    """Return what :func:`_figure` draws, each with a mark of its colour."""
    layers = dict(
        annotation=(COLOURS["annotation"], "&#9679;"),
        proposal=(COLOURS["latent"], "&#9679;"),
        move=(MOVE_COLOUR, "&#9473;"),
        prediction=(COLOURS["prediction"], "&#9679;"),
    )
    labels = dict(
        proposal="proposed label, elsewhere the annotation",
        move="from annotation to proposal",
    )
    return "".join(
        f'<span><b style="color: rgb({red}, {green}, {blue})">{mark}</b> '
        f"{labels.get(name, name)}</span>"
        for name, ((blue, green, red), mark) in layers.items()
    )


def _figure(
    audit: Audit,
    i: int,
    read_image: Callable[[int], np.ndarray],
    called: Sequence[str],
) -> str:
    """Draw a sample, and list its suspects, worst first."""
    landmarks = np.flatnonzero(audit.suspects[i])
    landmarks = landmarks[np.argsort(-audit.scores[i, landmarks])]
    text = ", ".join(
        f"{html.escape(called[k])} ({audit.reasons[i, k]})" for k in landmarks[:_LISTED]
    )
    text += ", ..." if len(landmarks) > _LISTED else ""
    try:
        face = draw_targets(
            read_image(i),
            audit.annotations[i],
            audit.labels[i],
            audit.predictions[i],
            size=360,
        )
        picture = f'<img src="{embedded_image(face)}" alt="">'
    except (OSError, ValueError, cv2.error) as error:
        picture = f"<p>no picture: {html.escape(str(error))}</p>"
    return (
        f"<figure>{picture}<figcaption><b>{html.escape(audit.keys[i])}</b><br>"
        f"suspects: {text}</figcaption></figure>"
    )


def _count_rows(counts: np.ndarray, called: Sequence[str]) -> str:
    worst = [k for k in np.argsort(-counts)[:_ROWS] if counts[k]]
    return "".join(_line("td", (called[k], counts[k])) for k in worst)


def _track_table(tracks: Sequence[Track], called: Sequence[str]) -> str:
    """Return the worst tracks as a section of the page; nothing without any."""
    if not tracks:
        return ""
    heads = ["video", "landmark", "first frame", "last frame", "suspects"]
    heads += ["worst score", "reason", "expected precision"]
    rows = [_line("th", heads)]
    for track in tracks[:_TRACKS]:
        video, landmark, *others = _track_row(track)
        rows.append(_line("td", [video, called[landmark], *others]))
    return (
        "<h2>By track</h2><p>Suspects of one landmark in frames that are near to each "
        f"other, worst first: {min(len(tracks), _TRACKS)} of {len(tracks)}; all are in "
        f'<a href="tracks.csv">tracks.csv</a>.</p><table>{"".join(rows)}</table>'
    )


def _line(tag: str, values: Sequence) -> str:
    """Return a table's row."""
    cells = (f"<{tag}>{html.escape(str(value))}</{tag}>" for value in values)
    return f"<tr>{''.join(cells)}</tr>"


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font-family: sans-serif; max-width: 1200px; margin: 2em auto; color: #222 }}
figure {{ display: inline-block; width: 370px; margin: 6px; vertical-align: top }}
figcaption {{ font-size: 12px; overflow-wrap: anywhere }}
img {{ max-width: 100% }} td, th {{ padding: 2px 12px; text-align: right }}
td:first-child, th:first-child {{ text-align: left }}
.legend {{ position: sticky; top: 0; background: #333; color: #fff; padding: 6px 0 }}
.legend span {{ margin-left: 1.5em }}
</style></head><body>
<h1>{title}</h1>
<p>{verdict}</p>
<p>{how}</p>
<p>Every landmark is in <a href="landmarks.csv">landmarks.csv</a>, every sample in
<a href="samples.csv">samples.csv</a>, worst first; distances there are in {unit}.</p>
<table><tr><th>reason</th><th>landmarks</th></tr>{reasons}</table>
{tracks}
<h2>Which landmarks are ambiguous, and in which direction</h2>
<p>{what} minus annotation over all samples, suspects left out. The numbers on the mean
face are those of the tables and of the samples below.</p>
<img src="{ambiguity}" alt="moves by landmark">
<h2>Landmarks with most suspects</h2>
<table><tr><th>landmark</th><th>suspects</th></tr>{rows}</table>
<h2>Worst samples</h2>
<p class="legend">{legend}</p>
{pictures}
</body></html>
"""
