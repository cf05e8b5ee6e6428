"""Which annotations are probably wrong: scores, a decision, pictures.

Arrays in, arrays out: no framework and no model is needed.
"""

from .scores import THRESHOLD, suspicion

__all__ = ["THRESHOLD", "suspicion"]
