"""The options that mean the same in every study."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmengine.config import DictAction


def study_parser(
    doc: str,
    work_dir: str,
    seeds: Sequence[int] = (0, 1, 2),
    cases: Sequence[str] | None = None,
    options_of: str = "all runs",
) -> argparse.ArgumentParser:
    """Return a parser with the options of all studies.

    Args:
        doc: What ``--help`` says.
        work_dir: Default of ``--work-dir``.
        seeds: Default of ``--seeds``.
        cases: What ``--cases`` can choose from; empty: anything.
            None: the study has no cases.
        options_of: The runs that ``--cfg-options`` changes.
    """
    parser = argparse.ArgumentParser(
        description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=list(seeds))
    parser.add_argument("--work-dir", default=work_dir, help="(default: %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="runs at a time")
    parser.add_argument(
        "--report", action="store_true", help="train nothing, report what is finished"
    )
    if cases is not None:
        parser.add_argument(
            "--cases", nargs="+", choices=cases or None, help="only these cases"
        )
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        default={},
        help=f"for {options_of}, as in tools/train.py",
    )
    return parser
