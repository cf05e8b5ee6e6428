"""``.pts`` landmark files, read and written, with errors that name the line.

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
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .files import atomic_path


class PtsError(ValueError):
    """A ``.pts`` file that cannot be used; the message names file and line."""


class _Header(NamedTuple):
    """The lines ``key: value`` before the landmarks.

    Attributes:
        num_lines: How many there are.
        last: Number of the last one, from 1; 0 without a header.
        declared: What ``n_points`` says; None if nothing does.
        declared_at: Number of the line that says so.
    """

    num_lines: int
    last: int
    declared: int | None
    declared_at: int


def read_pts(
    path: str | os.PathLike, num_points: int | None = 68, origin: int = 0
) -> np.ndarray:
    """Read the landmarks of a ``.pts`` file.

    Args:
        path: The file.
        num_points: How many landmarks it must hold; None takes any number.
        origin: Coordinate of the first pixel's centre in the file, 0 or 1.

    Returns:
        ``(K, 2)`` float32, (x, y) in pixels with the first pixel's centre at (0, 0).

    Raises:
        PtsError: If the file is not a ``.pts`` file with ``num_points`` landmarks.
        FileNotFoundError: If there is no such file.
    """
    _check_origin(origin)
    lines = _read_text(path).splitlines()
    numbered = [
        (number, line.strip())
        for number, line in enumerate(lines, start=1)
        if line.strip()
    ]
    header = _parse_header(path, numbered)
    points = _parse_body(path, numbered[header.num_lines :], header.last, len(lines))
    if not points:
        raise PtsError(
            f"{path}: no landmarks in it; expected "
            f"{'' if num_points is None else f'{num_points} '}lines 'x y'"
        )
    if header.declared is not None and header.declared != len(points):
        raise PtsError(
            f"{path}, line {header.declared_at}: n_points says {header.declared}, but "
            f"{len(points)} landmarks follow"
        )
    if num_points is not None and len(points) != num_points:
        raise PtsError(
            f"{path}, line {len(lines)}: {len(points)} landmarks in the file; expected "
            f"{num_points}, the number of keypoints of the data set's metainfo"
        )
    return np.asarray(points, dtype=np.float32) - np.float32(origin)


def write_pts(path: str | os.PathLike, keypoints: np.ndarray, origin: int = 0) -> None:
    """Write landmarks with the standard header, rounded to 0.001 px as 300W's.

    The file appears whole or not at all.

    Args:
        path: The file.
        keypoints: ``(K, 2)`` in pixels, finite.
        origin: Coordinate that the first pixel's centre has in the file, 0 or 1.

    Raises:
        ValueError: If the keypoints have another shape or are not finite.
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
    # Not atomic_write: to sync each of a video's thousand files would take minutes.
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def move_points(
    path: str | os.PathLike,
    points: Mapping[int, Sequence[float]],
    target: str | os.PathLike,
    origin: int = 0,
) -> None:
    """Write a copy of a ``.pts`` file in which some landmarks lie elsewhere.

    The other lines stay as they are, to the last digit.

    Args:
        path: The file.
        points: Number of a landmark, from 0, to ``(x, y)`` in pixels, finite.
        target: The copy; it appears whole or not at all.
        origin: As in :func:`read_pts`.

    Raises:
        PtsError: If it cannot be read, or has no such landmark.
        ValueError: If a point is not finite.
    """
    keypoints = read_pts(path, None, origin)
    for k, point in points.items():
        if not 0 <= k < len(keypoints):
            raise PtsError(f"{path}: no landmark {k} in it; it has {len(keypoints)}")
        if not np.isfinite(point).all():
            raise ValueError(f"{path}: landmark {k} is to be at {tuple(point)}")
    # As bytes: the ends of lines stay, too.
    lines = Path(path).read_bytes().decode().splitlines(keepends=True)
    rows = [i for i, line in enumerate(lines) if _is_landmark(line)]
    for k, (x, y) in points.items():
        end = lines[rows[k]][len(lines[rows[k]].rstrip()) :]
        lines[rows[k]] = f"{x + origin:.3f} {y + origin:.3f}{end}"
    with atomic_path(target) as temporary:
        temporary.write_bytes("".join(lines).encode())


def _is_landmark(line: str) -> bool:
    """Whether a line of a file that can be read holds a landmark."""
    return ":" not in line and line.strip().lstrip("\ufeff") not in ("", "{", "}")


def _check_origin(origin: int) -> None:
    if origin not in (0, 1):
        raise ValueError(
            f"origin is {origin!r}; expected 0 (coordinates as MMPose takes them) or "
            "1 (Matlab's, whose first pixel is (1, 1))"
        )


def _read_text(path: str | os.PathLike) -> str:
    try:
        return Path(path).read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise PtsError(
            f"{path}: not a text file ({error.reason} at byte {error.start}); "
            "expected a .pts file of landmarks"
        ) from error


def _parse_header(path: str | os.PathLike, lines: list[tuple[int, str]]) -> _Header:
    """Read the lines ``key: value`` that a file's numbered lines begin with."""
    declared, declared_at, last, count = None, 0, 0, 0
    for number, line in lines:
        if ":" not in line:
            break
        count, last = count + 1, number
        key, value = (part.strip() for part in line.split(":", 1))
        if key.lower() == "n_points":
            try:
                declared, declared_at = int(value), number
            except ValueError:
                raise PtsError(
                    f"{path}, line {number}: n_points is {_shown(value)}; "
                    "expected a whole number"
                ) from None
    return _Header(count, last, declared, declared_at)


def _parse_body(
    path: str | os.PathLike,
    lines: list[tuple[int, str]],
    header_line: int,
    end: int,
) -> list[tuple[float, float]]:
    """Read the landmarks and the braces around them.

    Args:
        path: The file.
        lines: What follows the header, numbered.
        header_line: Number of the header's last line, 0 without one.
        end: Number of the file's last line.
    """
    opened = closed = 0
    if lines and lines[0][1] == "{":
        opened, lines = lines[0][0], lines[1:]
    points = []
    for number, line in lines:
        if closed:
            raise PtsError(
                f"{path}, line {number}: {_shown(line)} after the closing '}}' of "
                f"line {closed}; expected the end of the file"
            )
        if line == "{":
            raise PtsError(
                f"{path}, line {number}: a second or late '{{'; expected "
                "landmarks 'x y' or '}'"
            )
        if line == "}":
            if not opened:
                raise PtsError(
                    f"{path}, line {number}: '}}' without a '{{' before it; expected "
                    "'{' on a line of its own before the first landmark"
                )
            closed = number
            continue
        if header_line and not opened:
            raise PtsError(
                f"{path}, line {number}: {_shown(line)} where '{{' was expected, "
                f"after the header of line {header_line}"
            )
        points.append(_parse_point(path, number, line))
    if opened and not closed:
        raise PtsError(
            f"{path}, line {end}: the file ends without the '}}' that closes "
            f"line {opened}; it may be cut short"
        )
    return points


def _parse_point(
    path: str | os.PathLike, number: int, line: str
) -> tuple[float, float]:
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
    """Return text as an error message shows it, shortened."""
    return repr(text if len(text) <= 40 else text[:37] + "...")
