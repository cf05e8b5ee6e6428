"""Training on labels that people disagree about, for MMPose and MMPretrain."""

from .compat import register_safe_globals, warn_of_untested_versions
from .shipped import config
from .version import __version__

__all__ = ["__version__", "config"]

register_safe_globals()
warn_of_untested_versions()
