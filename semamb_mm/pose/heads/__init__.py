from .semantic_alignment_head import SemanticAlignmentHead

__all__ = ["SemanticAlignmentHead"]
