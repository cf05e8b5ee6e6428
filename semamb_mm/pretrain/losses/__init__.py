"""The losses that are registered into MMPretrain."""

from .osm_caa_loss import OSMCAALoss
from .pytorch_metric_learning_loss import PytorchMetricLearningLoss

__all__ = ["OSMCAALoss", "PytorchMetricLearningLoss"]
