"""Everything for MMPose: importing this package registers all of it.

``custom_imports = dict(imports=['semamb_mm.pose'])`` in a config does so.
"""

try:
    import mmpose  # noqa: F401
except ImportError as error:
    raise ImportError(
        "semamb_mm.pose needs MMPose 1.x, which could not be imported "
        f"({error}). Install mmpose, or use semamb_mm.pretrain alone."
    ) from error

import semamb_mm.fileio  # noqa: F401

from .backbones import *  # noqa: F401,F403
from .datasets import *  # noqa: F401,F403
from .estimators import *  # noqa: F401,F403
from .heads import *  # noqa: F401,F403
from .hooks import *  # noqa: F401,F403
from .losses import *  # noqa: F401,F403
from .metrics import *  # noqa: F401,F403
from .refiners import *  # noqa: F401,F403
from .samplers import *  # noqa: F401,F403
from .transforms import *  # noqa: F401,F403
