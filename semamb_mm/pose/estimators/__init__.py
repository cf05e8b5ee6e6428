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
