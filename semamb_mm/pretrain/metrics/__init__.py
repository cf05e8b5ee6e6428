from .self_retrieval_metric import SelfRetrievalMetric

__all__ = ["SelfRetrievalMetric"]
