"""A latent target's life, from the annotation to the target of the next step.

- ``keys``: the name under which a sample's targets are kept;
- ``samples``: the walk over a train data set, whatever wraps it;
- ``store``: targets of all samples, in image pixels;
- ``shared``: what workers read of it, one copy on each machine;
- ``exchange``: how the ranks bring together what they found;
- ``saved``: the targets in a checkpoint;
- ``targets_file``: the targets in a file that anybody can read and write;
- ``views``: which view of a sample each draw of an epoch is;
- ``warp``: image pixels to input pixels and back;
- ``search``: what a batch's heatmaps say, in image pixels;
- ``weights``: labels that weigh nothing in the loss;
- ``making``: targets of all annotations and search results together;
- ``options``: options are checked before the long work starts.
"""

from .keys import sample_key
from .making import TargetMaker
from .samples import (
    build_store,
    keyed_annotations,
    landmarks_of,
    located_samples,
)
from .saved import CHECKPOINT_KEY, SavedTargets
from .search import BatchSearch, SearchResult
from .store import LatentTargetStore
from .targets_file import read_targets, write_targets
from .warp import InputWarp, check_warp, input_warp

__all__ = [
    "CHECKPOINT_KEY",
    "BatchSearch",
    "InputWarp",
    "LatentTargetStore",
    "SavedTargets",
    "SearchResult",
    "TargetMaker",
    "build_store",
    "check_warp",
    "input_warp",
    "keyed_annotations",
    "landmarks_of",
    "located_samples",
    "read_targets",
    "sample_key",
    "write_targets",
]
