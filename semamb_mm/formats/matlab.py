"""Variables of Matlab files, of the formats 5 to 7.2.

Read by mat4py, which the data sets of MMPretrain use too, and not by SciPy. A file that
is damaged must end in an error: of 10,086 files with one to five bytes overwritten,
SciPy 1.17.1 ended the process in 111 (segmentation fault, bus error; all in files that
were not compressed), mat4py in none. Both may take endless time or memory over a wrong
size (SciPy in 18 of those files, mat4py in 9). SciPy takes 0.1 s for a list of AFLW's
24,386 faces, mat4py 0.6 s; that is once a run.

mat4py alone takes a file that was cut short at an unlucky byte as whole, with an empty
variable, and refuses a file for a variable that nobody asked for. So the variables are
told apart here, by the lengths that the file itself gives, and read one by one.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

_HEADER = 128
_IS_HDF5 = b"\x00\x02IM"  # at the header's end


class MatlabError(ValueError):
    """A file that is not a whole Matlab file; the message says why."""


class Matlab73Error(MatlabError):
    """A file in Matlab's format 7.3, which is HDF5."""


def load_variables(path: str | os.PathLike) -> tuple[dict[str, Any], list[str]]:
    """Read all variables that can be read.

    Returns:
        The variables, as mat4py gives them (rows as lists, structs as dicts of lists),
        and why each of the others cannot be read.

    Raises:
        FileNotFoundError: If there is no such file.
        Matlab73Error: If it is in Matlab's format 7.3.
        MatlabError: If it is no whole Matlab file.
        ImportError: If mat4py is not installed.
    """
    try:
        import mat4py  # comes with MMPretrain, not with MMPose
    except ImportError as error:
        raise ImportError(
            "reading Matlab files needs mat4py: pip install mat4py"
        ) from error
    variables: dict[str, Any] = {}
    reasons = []
    for single in _single_files(Path(path).read_bytes()):
        try:
            variables.update(mat4py.loadmat(BytesIO(single)))
        # A damaged variable has it fail in any way.
        except Exception as error:
            reasons.append(f"{type(error).__name__}: {error}")
    return variables, reasons


def read_mat(path: str | os.PathLike, key: str) -> Any:
    """Return a variable of a Matlab file, as mat4py gives it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no whole Matlab file, or has no such variable.
    """
    try:
        variables, reasons = load_variables(path)
        if key not in variables and reasons:
            raise MatlabError(reasons[0])
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no file {path}; expected a Matlab file with the variable {key!r}"
        ) from None
    except MatlabError as error:
        raise ValueError(f"{path} is not a whole Matlab file: {error}") from error
    if key not in variables:
        raise ValueError(f"{path} has the variables {sorted(variables)}, not {key!r}")
    return variables[key]


def read_mat_table(path: str | os.PathLike, key: str, columns: int) -> np.ndarray:
    """Return an integer table ``(N, columns)`` of a Matlab file, N > 0.

    Raises:
        FileNotFoundError: As :func:`read_mat`.
        ValueError: As :func:`read_mat`, or on another shape or numbers that are not
            whole.
    """
    values = read_mat(path, key)
    try:
        table = np.asarray(values)
        whole = table.astype(np.int64).reshape(-1, columns)
        if whole.size and (whole == table.reshape(-1, columns)).all():
            return whole
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"{path}: expected {key!r} as a table of whole numbers with {columns} column(s)"
    )


def _single_files(content: bytes) -> Iterator[bytes]:
    """Cut a Matlab file into files of one variable each."""
    header = content[:_HEADER]
    if header[124:] == _IS_HDF5:
        raise Matlab73Error("format 7.3")
    if header[124:] not in (b"\x00\x01IM", b"\x01\x00MI"):
        raise MatlabError("it does not begin with a header of Matlab's format 5")
    order = "<" if header[126:] == b"IM" else ">"
    start = _HEADER
    while start < len(content):
        tag = content[start : start + 8]
        if len(tag) < 8:
            raise MatlabError(f"it ends within the variable at byte {start}")
        end = start + 8 + struct.unpack(f"{order}I", tag[4:])[0]
        if end > len(content):
            raise MatlabError(
                f"it ends within the variable at byte {start}, which has {end - start} "
                f"bytes; {len(content) - start} are there"
            )
        yield header + content[start:end]
        start = end
