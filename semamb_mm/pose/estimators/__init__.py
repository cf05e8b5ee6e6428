"""Pose estimators: the second stage of a refiner, and a second look at rolled faces."""

from .frozen_detector_estimator import FrozenDetectorEstimator
from .roll_normalized_estimator import (
    RollNormalizedEstimator,
    RollNormalizedFrozenEstimator,
)

__all__ = [
    "FrozenDetectorEstimator",
    "RollNormalizedEstimator",
    "RollNormalizedFrozenEstimator",
]
