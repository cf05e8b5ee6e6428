"""The files that are shipped beside the package's code: configs, tested versions."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def config(name: str) -> str:
    """Return where one of this package's config files is.

    For ``_base_`` in a config of any folder, under any tool. MMEngine's ``mmpose::``
    form is for the names of its own list; this needs none:

    .. code-block:: python

        _base_ = __import__('semamb_mm').config('_base_/alignment_68.py')

    MMEngine evaluates ``_base_`` before anything that the file imports; that is why
    the import stands in it.

    Args:
        name: The file below ``configs``, such as ``'_base_/alignment_68.py'``.

    Raises:
        FileNotFoundError: If there is no such file. The message names similar ones.
    """
    folder = shipped_folder("configs")
    path = folder / name
    if path.is_file():
        return str(path)
    known = [file.relative_to(folder).as_posix() for file in folder.glob("*/*.py")]
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f": did you mean {' or '.join(near)}?" if near else ""
    raise FileNotFoundError(f"semamb_mm has no config {name}, looked in {folder}{hint}")


def shipped_folder(name: str) -> Path:
    """Return a folder of an installed package, or of a checkout on the path.

    Args:
        name: ``'configs'``, ``'tools'`` or ``'requirements'``.
    """
    installed = _PACKAGE / ".mim" / name
    return (installed if installed.is_dir() else _PACKAGE.parent / name).resolve()
