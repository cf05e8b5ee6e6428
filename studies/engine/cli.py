"""The options that mean the same in every study."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmengine.config import DictAction

_WRAPPER = "studies.engine.bfloat16.BFloat16OptimWrapper"


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
        action=_Options,
        default={},
        help=f"for {options_of}, as in tools/train.py",
    )
    parser.add_argument(
        "--bfloat16",
        nargs=0,
        action=_BFloat16,
        help="train backbones in bfloat16 on the processor, in a --work-dir of its own",
    )
    return parser


class _Options(DictAction):
    """Adds to what is there."""

    def __call__(self, parser, namespace, values, option_string=None):
        before = namespace.cfg_options
        super().__call__(parser, namespace, values, option_string)
        namespace.cfg_options = {**before, **namespace.cfg_options}


class _BFloat16(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        added = {"optim_wrapper.type": _WRAPPER}
        namespace.cfg_options = {**namespace.cfg_options, **added}
