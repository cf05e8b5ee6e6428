"""Everything for MMPretrain: importing this package registers all of it.

``custom_imports = dict(imports=['semamb_mm.pretrain'])`` in a config does so.
"""

try:
    import mmpretrain  # noqa: F401
except ImportError as error:
    raise ImportError(
        "semamb_mm.pretrain needs MMPretrain 1.x, which could not be imported "
        f"({error}). Install mmpretrain, or use semamb_mm.pose alone."
    ) from error

import semamb_mm.fileio  # noqa: F401

from .datasets import *  # noqa: F401,F403
from .heads import *  # noqa: F401,F403
from .losses import *  # noqa: F401,F403
from .metrics import *  # noqa: F401,F403
from .retrievers import *  # noqa: F401,F403
from .samplers import *  # noqa: F401,F403
