"""The papers' mathematics: tensors in, tensors out. Imports torch only."""

from .agreement import (
    IntraclassCorrelation,
    Limits,
    intraclass_correlation,
    limits_of_agreement,
)
from .chi_square import (
    chi_square_loss,
    chi_square_map,
    gaussian_patch,
    pearson_chi_square,
)
from .consensus import combine_annotations, consensus_by_chunks, consensus_targets
from .consensus_moments import ConsensusOptions, ConsensusRows, ViewScatter
from .curves import curve_tangents
from .error_split import (
    ErrorSplit,
    detector_change,
    half_samples,
    interval,
    split_errors,
)
from .observers import ObserverErrors, combine_observers, observer_errors
from .pair_mining import (
    caa_scores,
    class_log_probabilities,
    gaussian_weights,
    osm_scores,
    weighted_contrastive_loss,
)
from .search import search_latent_targets
from .separable import search_separable_targets
from .temporal import temporal_targets

__all__ = [
    "ConsensusOptions",
    "ConsensusRows",
    "ErrorSplit",
    "IntraclassCorrelation",
    "Limits",
    "ObserverErrors",
    "ViewScatter",
    "caa_scores",
    "chi_square_loss",
    "chi_square_map",
    "class_log_probabilities",
    "combine_annotations",
    "combine_observers",
    "consensus_by_chunks",
    "consensus_targets",
    "curve_tangents",
    "detector_change",
    "gaussian_patch",
    "gaussian_weights",
    "half_samples",
    "interval",
    "intraclass_correlation",
    "limits_of_agreement",
    "observer_errors",
    "osm_scores",
    "pearson_chi_square",
    "search_latent_targets",
    "search_separable_targets",
    "split_errors",
    "temporal_targets",
    "weighted_contrastive_loss",
]
