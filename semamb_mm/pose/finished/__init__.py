"""Targets of finished detectors: restart and cross-fitting.

- ``search``: samples are searched in several augmented views, targets made of all;
- ``folds``: which samples are held out, and configs that train on the others;
- ``fold_runs``: those trainings, one process after the other;
- ``work``: what long work has done is kept, and nothing is mixed.
"""

from .search import AugmentedSamples, FinishedSearch, Making, make_targets

__all__ = ["AugmentedSamples", "FinishedSearch", "Making", "make_targets"]
