from .frozen_detector_estimator import FrozenDetectorEstimator

__all__ = ["FrozenDetectorEstimator"]
