from __future__ import annotations

import mat4py
import numpy as np


def read_mat(path: str, key: str):
    """A variable of a Matlab file, as mat4py gives it.

    MMPretrain reads its Matlab files by mat4py, too. SciPy is faster, but
    crashes on some damaged files.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no whole Matlab file, or has no such variable.
    """
    try:
        content = mat4py.loadmat(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no file {path}; expected a Matlab file with the variable {key!r}"
        ) from None
    # A damaged file has it fail in any way.
    except Exception as error:
        raise ValueError(
            f"{path} is not a whole Matlab file: {type(error).__name__}: {error}"
        ) from error
    if key not in content:
        raise ValueError(f"{path} has the variables {sorted(content)}, not {key!r}")
    return content[key]


def read_mat_table(path: str, key: str, columns: int) -> np.ndarray:
    """An integer table ``(N, columns)`` of a Matlab file.

    Raises:
        FileNotFoundError, ValueError: As :func:`read_mat`, or on another
            shape or numbers that are not whole.
    """
    values = read_mat(path, key)
    try:
        table = np.asarray(values)
        whole = table.astype(np.int64).reshape(-1, columns)
        if (whole == table.reshape(-1, columns)).all():
            return whole
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"{path}: expected {key!r} as a table of whole numbers with {columns} column(s)"
    )
