"""What the studies share: runs, changes to configs, tables, plots, the command line."""

from .bootstrap import changed
from .changes import (
    Change,
    hook,
    keep_checkpoints,
    lengthened,
    merged,
    scheduled,
    transform,
)
from .cli import study_parser
from .copies import copy_face, write_list
from .plots import curve, panels
from .runs import (
    NOTHING_FINISHED,
    ROOT,
    Made,
    Run,
    measured,
    run_tool,
    train_all,
    validations,
)
from .tables import markdown, paired, rounded, spread, write_csv
from .targets import saved_targets

__all__ = [
    "NOTHING_FINISHED",
    "ROOT",
    "Change",
    "Made",
    "Run",
    "changed",
    "copy_face",
    "curve",
    "hook",
    "keep_checkpoints",
    "lengthened",
    "markdown",
    "measured",
    "merged",
    "paired",
    "panels",
    "rounded",
    "saved_targets",
    "run_tool",
    "scheduled",
    "spread",
    "study_parser",
    "train_all",
    "transform",
    "validations",
    "write_csv",
    "write_list",
]
