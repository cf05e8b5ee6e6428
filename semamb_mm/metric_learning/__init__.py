"""Metric learning in plain torch: the pair loss, samplers, retrieval scores."""

from .re_ranking import re_rank

__all__ = ["re_rank"]
