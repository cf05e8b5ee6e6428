"""Registers the pair loss of OSM/CAA; see :mod:`semamb_mm.metric_learning.loss`."""

from mmpretrain.registry import MODELS

from semamb_mm.metric_learning import OSMCAALoss

MODELS.register_module(module=OSMCAALoss)
