from semamb_mm.metric_learning.re_ranking import re_rank

from .self_retrieval_metric import SelfRetrievalMetric
from .tracklet_retrieval_metric import TrackletRetrievalMetric

__all__ = ["SelfRetrievalMetric", "TrackletRetrievalMetric", "re_rank"]
