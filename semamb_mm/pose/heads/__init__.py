"""Heads; importing this package registers them into MMPose."""

from .mixin import SemanticAlignmentMixin, last_stage
from .semantic_alignment_head import (
    SemanticAlignmentCPMHead,
    SemanticAlignmentHead,
    SemanticAlignmentHeatmapHead,
    SemanticAlignmentMSPNHead,
    SemanticAlignmentViPNASHead,
)
from .simcc import (
    SemanticAlignmentRTMCCHead,
    SemanticAlignmentRTMWHead,
    SemanticAlignmentSimCCHead,
)

__all__ = [
    "SemanticAlignmentCPMHead",
    "SemanticAlignmentHead",
    "SemanticAlignmentHeatmapHead",
    "SemanticAlignmentMSPNHead",
    "SemanticAlignmentMixin",
    "SemanticAlignmentRTMCCHead",
    "SemanticAlignmentRTMWHead",
    "SemanticAlignmentSimCCHead",
    "SemanticAlignmentViPNASHead",
    "last_stage",
]
