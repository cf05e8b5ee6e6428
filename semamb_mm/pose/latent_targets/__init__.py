"""A latent target's life: its key, its store, the way to the input and back."""

from .keys import sample_key
from .samples import build_store, located_samples
from .store import CHECKPOINT_KEY, LatentTargetStore
from .warp import InputWarp, check_warp, input_warp

__all__ = [
    "CHECKPOINT_KEY",
    "InputWarp",
    "LatentTargetStore",
    "build_store",
    "check_warp",
    "input_warp",
    "located_samples",
    "sample_key",
]
