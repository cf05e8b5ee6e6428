"""The metrics that are registered into MMPretrain: they collect, call and log."""

from semamb_mm.metric_learning import re_rank

from .self_retrieval_metric import SelfRetrievalMetric
from .tracklet_retrieval_metric import TrackletRetrievalMetric

__all__ = ["SelfRetrievalMetric", "TrackletRetrievalMetric", "re_rank"]
