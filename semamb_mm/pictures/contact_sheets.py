"""Pictures of equal size in a grid."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .texts import draw_text, text_width

_TITLE_HEIGHT = 22


def contact_sheet(
    images: Sequence[np.ndarray], columns: int, titles: Sequence[str] = ()
) -> np.ndarray:
    """Arrange pictures of equal size in a grid, a title under each.

    Args:
        images: ``(H, W, 3)`` uint8, BGR.
        columns: Pictures in a row.
        titles: One for each picture, or none; one too long is cut in its middle.

    Returns:
        ``(H', W', 3)`` uint8, BGR.

    Raises:
        ValueError: Without pictures, if their sizes differ, or if the numbers of
            columns or titles do not fit.
    """
    if not images or any(image.shape != images[0].shape for image in images):
        raise ValueError("contact_sheet needs pictures, all of the same size")
    if columns < 1 or len(titles) not in (0, len(images)):
        raise ValueError(
            f"contact_sheet of {len(images)} pictures: got {columns} columns and "
            f"{len(titles)} titles; expected at least 1, and as many titles or none"
        )
    height, width = images[0].shape[:2]
    strip = _TITLE_HEIGHT if len(titles) else 0
    rows = -(-len(images) // columns)
    sheet = np.full((rows * (height + strip), columns * width, 3), 255, np.uint8)
    for i, image in enumerate(images):
        top, left = i // columns * (height + strip), i % columns * width
        sheet[top : top + height, left : left + width] = image
        if strip:
            title = _fit(titles[i], width - 12)
            draw_text(sheet, title, (left + 6, top + height + 16), (30, 30, 30))
    return sheet


def _fit(title: str, width: int) -> str:
    """Return the title, or as much of its ends as ``width`` pixels hold."""
    fitted, kept = title, len(title)
    while kept > 0 and text_width(fitted) > width:
        kept -= 1
        fitted = f"{title[: kept // 2]}...{title[len(title) - (kept - kept // 2) :]}"
    return fitted if kept or not title else ""
