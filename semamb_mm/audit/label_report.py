"""An audit of class labels as a table, and as one page with pictures."""

from __future__ import annotations

import html
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from semamb_mm.formats.files import atomic_write
from semamb_mm.formats.tables import write_csv
from semamb_mm.pictures.embedded import embedded_image

from .labels import LabelAudit, nearest_of_class

_SIDE = 110  # of a picture, pixels
_NEIGHBOURS = 4


@dataclass(frozen=True)
class Images:
    """The images of an audit.

    Attributes:
        paths: ``(n,)``.
        classes: Names of the classes.
        embeddings: ``(n, D)``, L2-normalised: which images are near each other.
        read: Gives an image, ``(H, W, 3)`` uint8, BGR. OSError, ValueError and OpenCV's
            errors stand in the picture's place.
    """

    paths: Sequence[str]
    classes: Sequence[str]
    embeddings: np.ndarray
    read: Callable[[int], np.ndarray]


def write_labels(
    path: str | os.PathLike,
    audit: LabelAudit,
    images: Images,
    true_labels: Sequence[int] | None = None,
) -> None:
    """Write every image, the most surprising labels first.

    Args:
        path: The csv file.
        audit: What to write.
        images: Their paths and classes.
        true_labels: ``(n,)``, where they are known.
    """
    header = ["image", "label", "likely_label", "suspect", "expected_precision"]
    header += ["surprise"] + ["true_label"] * (true_labels is not None)
    write_csv(path, header, _rows(audit, images, true_labels))


def _rows(audit, images, true_labels) -> Iterator[list]:
    names = images.classes
    for i in audit.order:
        row = [images.paths[i], names[audit.labels[i]], names[audit.likely[i]]]
        row += [int(audit.suspects[i]), f"{audit.precision[i]:.3f}"]
        row += [f"{audit.surprise[i]:.4f}"]
        yield row if true_labels is None else [*row, names[true_labels[i]]]


def write_label_page(
    path: str | os.PathLike,
    audit: LabelAudit,
    images: Images,
    name: str,
    how: str,
    num_images: int = 40,
) -> None:
    """Write one html file with everything in it: the suspects and what they are like.

    Without suspects it shows the most surprising labels.

    Args:
        path: The file.
        audit: What to show.
        images: Their pictures.
        name: Of the config, for the title.
        how: How the scores were made, one sentence.
        num_images: Images at most.
    """
    suspects = int(audit.suspects.sum())
    shown = audit.order[: min(num_images, suspects or num_images)]
    with atomic_write(path) as file:
        file.write(
            _PAGE.format(
                title=f"Label audit: {html.escape(name)}",
                how=html.escape(how),
                images=len(audit.labels),
                share=100 * audit.share,
                verdict=_verdict(audit),
                rows="".join(_row(audit, images, i) for i in shown),
            )
        )


def _verdict(audit: LabelAudit) -> str:
    suspects = int(audit.suspects.sum())
    if not suspects:
        return (
            f"No list of suspects would be right in {audit.wanted:.0%} of its labels. "
            "Below are the most surprising labels."
        )
    low, high = audit.suspects_range
    return (
        f"<b>{suspects} suspects</b>, of which {audit.suspects_precision:.0%} "
        f"({low:.0%} to {high:.0%}) are expected to be wrong. The most surprising "
        "labels come first."
    )


def _row(audit: LabelAudit, images: Images, i: int) -> str:
    """Show an image, its claimed class and its likely one."""
    cells = [f"<td>{_picture(images, i)}<p>{html.escape(str(images.paths[i]))}</p>"]
    cells[0] += f"<p>surprise {audit.surprise[i]:.2f}</p></td>"
    trusted = ~audit.suspects
    for kind, label in (("claimed", audit.labels[i]), ("likely", audit.likely[i])):
        nearest = nearest_of_class(
            images.embeddings, audit.labels, i, label, _NEIGHBOURS, trusted
        )
        pictures = "".join(_picture(images, j) for j in nearest)
        name = html.escape(str(images.classes[label]))
        cells.append(f'<td class="{kind}"><p><b>{name}</b></p>{pictures}</td>')
    return f"<tr>{''.join(cells)}</tr>\n"


def _picture(images: Images, i: int) -> str:
    try:
        image = images.read(i)
        scale = _SIDE / max(image.shape[:2])
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        size = [max(1, round(scale * length)) for length in image.shape[1::-1]]
        address = embedded_image(cv2.resize(image, size, interpolation=how))
    except (OSError, ValueError, cv2.error) as error:
        return f"<p>no picture: {html.escape(str(error))}</p>"
    return f'<img src="{address}" alt="">'


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>
body {{ font-family: sans-serif; max-width: 1300px; margin: 2em auto; color: #222 }}
td {{ padding: 8px; vertical-align: top; border-top: 1px solid #ccc }}
td p {{ margin: 2px 0; font-size: 12px; overflow-wrap: anywhere }}
td:first-child {{ width: 200px }} td.claimed {{ background: #fdecea }}
td.likely {{ background: #eaf6ec }} img {{ margin: 2px }}
</style></head><body>
<h1>{title}</h1>
<p>{verdict}</p>
<p>{images} images; about {share:.1f} % of their labels are wrong, if wrong labels are
given without looking. {how} Every image is in labels.csv.</p>
<table><tr><th>image</th><th>claimed class, its nearest images</th>
<th>likely class, its nearest images</th></tr>
{rows}</table>
</body></html>
"""
