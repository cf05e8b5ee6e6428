"""Reading and writing ``.pts`` landmark files, with errors that name the line.

    version: 1
    n_points: 68
    {
    446.000 91.000
    ...
    }

The header and the braces may be missing. Pixel origin: the files of 300W and 300-VW
stem from Matlab tools, whose first pixel is (1, 1), but MMPose (its 300W and 300-VW
annotation files and its converter) takes the numbers as they are. ``origin=0``
does as MMPose does, so that its models and figures stay comparable; ``origin=1``
makes the first pixel (0, 0).
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np


class PtsError(ValueError):
    """A ``.pts`` file that cannot be used; the message names file and line."""


def read_pts(
    path: str | os.PathLike, num_points: int | None = 68, origin: int = 0
) -> np.ndarray:
    """Reads the landmarks of a ``.pts`` file.

    Args:
        path: the file.
        num_points: how many landmarks it must hold; None takes any number.
        origin: coordinate of the first pixel's centre in the file, 0 or 1.

    Returns:
        (K, 2) float32, (x, y) in pixels with the first pixel's centre at (0, 0).

    Raises:
        PtsError: if the file is not a ``.pts`` file with ``num_points`` landmarks.
        FileNotFoundError: if there is no such file.
    """
    _check_origin(origin)
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PtsError(
            f"{path}: not a text file ({error.reason} at byte {error.start}); "
            "expected a .pts file of landmarks"
        ) from error

    declared: int | None = None
    declared_line = 0
    header_line = opened = closed = 0
    points: list[tuple[float, float]] = []
    number = 0
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        if not line:
            continue
        if closed:
            raise PtsError(
                f"{path}, line {number}: {_shown(line)} after the closing '}}' of "
                f"line {closed}; expected the end of the file"
            )
        if line == "{":
            if opened or points:
                raise PtsError(
                    f"{path}, line {number}: a second or late '{{'; expected "
                    "landmarks 'x y' or '}'"
                )
            opened = number
        elif line == "}":
            if not opened:
                raise PtsError(
                    f"{path}, line {number}: '}}' without a '{{' before it; expected "
                    "'{' on a line of its own before the first landmark"
                )
            closed = number
        elif ":" in line and not opened and not points:
            header_line = number
            key, value = (part.strip() for part in line.split(":", 1))
            if key.lower() == "n_points":
                declared_line = number
                try:
                    declared = int(value)
                except ValueError:
                    raise PtsError(
                        f"{path}, line {number}: n_points is {_shown(value)}; "
                        "expected a whole number"
                    ) from None
        else:
            if header_line and not opened:
                raise PtsError(
                    f"{path}, line {number}: {_shown(line)} where '{{' was expected, "
                    f"after the header of line {header_line}"
                )
            points.append(_parse_point(path, number, line))

    if opened and not closed:
        raise PtsError(
            f"{path}, line {number}: the file ends without the '}}' that closes "
            f"line {opened}; it may be cut short"
        )
    if not points:
        raise PtsError(
            f"{path}: no landmarks in it; expected "
            f"{'' if num_points is None else f'{num_points} '}lines 'x y'"
        )
    if declared is not None and declared != len(points):
        raise PtsError(
            f"{path}, line {declared_line}: n_points says {declared}, but "
            f"{len(points)} landmarks follow"
        )
    if num_points is not None and len(points) != num_points:
        raise PtsError(
            f"{path}, line {number}: {len(points)} landmarks in the file; expected "
            f"{num_points}, the number of keypoints of the data set's metainfo"
        )
    return np.asarray(points, dtype=np.float32) - np.float32(origin)


def write_pts(path: str | os.PathLike, keypoints: np.ndarray, origin: int = 0) -> None:
    """Writes landmarks with the standard header, rounded to 0.001 px as 300W's.

    The file appears whole or not at all.

    Args:
        path: the file; its folder must exist.
        keypoints: (K, 2) in pixels, finite.
        origin: coordinate that the first pixel's centre has in the file, 0 or 1.
    """
    _check_origin(origin)
    keypoints = np.asarray(keypoints, dtype=np.float64)
    if keypoints.ndim != 2 or keypoints.shape[1] != 2 or not len(keypoints):
        raise ValueError(
            f"{path}: cannot write keypoints of shape {keypoints.shape}; expected "
            "(K, 2)"
        )
    bad = np.flatnonzero(~np.isfinite(keypoints).all(1))
    if len(bad):
        raise ValueError(
            f"{path}: landmark {bad[0]} is {keypoints[bad[0]].tolist()}; expected "
            "finite coordinates"
        )
    rows = "".join(f"{x:.3f} {y:.3f}\n" for x, y in keypoints + origin)
    text = f"version: 1\nn_points: {len(keypoints)}\n{{\n{rows}}}\n"
    path = Path(path)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.unfinished")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def _check_origin(origin: int) -> None:
    if origin not in (0, 1):
        raise ValueError(
            f"origin is {origin!r}; expected 0 (coordinates as MMPose takes them) or "
            "1 (Matlab's, whose first pixel is (1, 1))"
        )


def _parse_point(path: str | os.PathLike, number: int, line: str) -> tuple:
    words = line.split()
    try:
        x, y = (float(word) for word in words)
    except ValueError:
        raise PtsError(
            f"{path}, line {number}: {_shown(line)}; expected two numbers 'x y'"
        ) from None
    if not np.isfinite((x, y)).all():
        raise PtsError(
            f"{path}, line {number}: {_shown(line)}; expected finite coordinates"
        )
    return x, y


def _shown(text: str) -> str:
    """Text as an error message shows it, shortened."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
