"""Everything for MMPretrain: importing this package registers all of it.

``custom_imports = dict(imports=['semamb_mm.pretrain'])`` in a config does so.
"""

# What is registered is imported after the check, and for nothing else.
# ruff: noqa: E402, F401, F403

from semamb_mm.compat import require_framework

require_framework(
    "semamb_mm.pretrain", "MMPretrain", ["mmpretrain.models", "mmpretrain.datasets"]
)

import semamb_mm.fileio

from .datasets import *
from .heads import *
from .losses import *
from .metrics import *
from .necks import *
from .retrievers import *
from .samplers import *
