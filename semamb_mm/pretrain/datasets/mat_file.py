from __future__ import annotations

import numpy as np
from scipy.io import loadmat
from scipy.io.matlab import MatReadError


def read_mat(path: str, key: str):
    """A variable of a Matlab file, its structs as dicts.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no whole Matlab file, or has no such variable.
    """
    try:
        content = loadmat(path, simplify_cells=True)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"no file {path}; expected a Matlab file with the variable {key!r}"
        ) from None
    # SciPy's reader fails in many ways on a file that is cut short.
    except (MatReadError, ValueError, TypeError, OSError, NotImplementedError) as error:
        raise ValueError(f"{path} is not a whole Matlab file: {error}") from error
    if key not in content:
        names = sorted(name for name in content if not name.startswith("__"))
        raise ValueError(f"{path} has the variables {names}, not {key!r}")
    return content[key]


def read_mat_table(path: str, key: str, columns: int) -> np.ndarray:
    """An integer table ``(N, columns)`` of a Matlab file.

    Raises:
        FileNotFoundError, ValueError: As :func:`read_mat`, or on another
            shape or numbers that are not whole.
    """
    table = np.asarray(read_mat(path, key))
    try:
        whole = table.astype(np.int64)
        table = whole.reshape(-1, columns) if (whole == table).all() else None
    except (TypeError, ValueError):
        table = None
    if table is None:
        raise ValueError(
            f"{path}: expected {key!r} as a table of whole numbers with {columns} "
            "column(s)"
        )
    return table
