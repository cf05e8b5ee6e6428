"""What the tools about data sets on disk share: arguments, progress, refused files."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmengine.utils import track_progress_rich


def dataset_parser(
    description: str | None, workers: str, name: Sequence[str] = ()
) -> argparse.ArgumentParser:
    """Return a parser of ``root`` and ``--workers``.

    Args:
        description: The tool's docstring, printed as it is.
        workers: What the processes do.
        name: Data sets to choose from by a first argument, if any.
    """
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    if name:
        parser.add_argument("name", choices=name, help="data set")
    parser.add_argument("root", help="the data set's folder")
    parser.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count(),
        help=f"processes{workers} (default: one a CPU core)",
    )
    return parser


def add_out_dir(parser: argparse.ArgumentParser) -> None:
    """Add ``--out-dir``."""
    parser.add_argument(
        "--out-dir", help="folder for the json files (default: ROOT/annotations)"
    )


def folders(args: argparse.Namespace) -> tuple[Path, Path]:
    """Return the data set's folder and the one for the json files."""
    root = Path(args.root)
    return root, Path(args.out_dir) if args.out_dir else root / "annotations"


def add_splits(
    parser: argparse.ArgumentParser,
    choices: Sequence[str],
    default: Sequence[str],
    text: str,
) -> None:
    """Add ``--splits``."""
    parser.add_argument(
        "--splits", nargs="+", choices=choices, default=list(default), help=text
    )


def result_or_reason(function: Callable, *arguments) -> Any:
    """Return a function's result; the reason, as text, if a file cannot be used."""
    try:
        return function(*arguments)
    except (OSError, ValueError) as error:
        return str(error)


def in_parallel(
    function: Callable,
    tasks: Sequence[tuple],
    workers: int,
    description: str,
    chunksize: int = 1,
) -> list:
    """Call a function with each tuple of arguments, in processes with a progress bar.

    It must be found by its name, and must not raise: see :func:`result_or_reason`.
    """
    if not tasks:
        return []
    return track_progress_rich(
        function,
        list(tasks),
        nproc=workers,
        chunksize=chunksize,
        description=description,
    )


def report_bad(name: str, reasons: Sequence[str], noun: str, skip: str | None) -> None:
    """Name every file that cannot be used; end the tool unless they are left out.

    Args:
        name: The data set.
        reasons: Why each cannot be used.
        noun: What is bad.
        skip: What ``--skip-bad`` would leave out; None if it was given.
    """
    for reason in reasons:
        print(f"bad: {reason}")
    if reasons and skip is not None:
        sys.exit(
            f"{name}: {len(reasons):,} bad {noun}, nothing written; fix them, or "
            f"leave {skip} out with --skip-bad"
        )


def say_how_to_read(root: Path, images: Path) -> None:
    """Print the arguments that MMPose's data set takes."""
    prefix = os.path.relpath(images, root)
    print(f"read with data_root={str(root)!r}, data_prefix=dict(img={prefix!r})")
