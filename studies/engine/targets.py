"""The latent targets that a run ended with, and the annotations they began as."""

from __future__ import annotations

import torch
from mmengine.registry import init_default_scope

from semamb_mm.cli import training_set
from semamb_mm.pose.latent_targets import CHECKPOINT_KEY, build_store

from .runs import Run


def saved_targets(run: Run) -> dict:
    """Return ``keys``, ``annotations``, ``visible``, ``targets`` and ``found``.

    Annotations come from the run's own data set; checkpoints of before held them.
    Empty of a run without latent targets.
    """
    state = torch.load(run.checkpoint, map_location="cpu").get(CHECKPOINT_KEY)
    if state is None or "annotations" in state:
        return state or {}
    init_default_scope("mmpose")
    store = build_store(training_set(run.resolved, []))
    store.load_state_dict(state)
    names = ("keys", "annotations", "visible", "targets", "found")
    return {name: getattr(store, name) for name in names}
