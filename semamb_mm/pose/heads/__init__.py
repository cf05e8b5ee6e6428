"""Heads; importing this package registers them into MMPose."""

from .semantic_alignment_head import SemanticAlignmentHead

__all__ = ["SemanticAlignmentHead"]
