"""Everything for MMPose: importing this package registers all of it.

``custom_imports = dict(imports=['semamb_mm.pose'])`` in a config does so.
"""

# What is registered is imported after the check, and for nothing else.
# ruff: noqa: E402, F401, F403

from semamb_mm.compat import require_framework

require_framework(
    "semamb_mm.pose",
    "MMPose",
    ["mmpose.models", "mmpose.datasets", "mmpose.evaluation"],
)

import semamb_mm.fileio

from .backbones import *
from .datasets import *
from .estimators import *
from .heads import *
from .hooks import *
from .losses import *
from .metrics import *
from .refiners import *
from .samplers import *
from .transforms import *
