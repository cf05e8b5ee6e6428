"""Other ways to rank annotations, the probably wrong ones first.

Each takes annotations ``(N, K, 2)`` without gaps and gives scores ``(N, K)``.
"""

from __future__ import annotations

import numpy as np
from sklearn.mixture import GaussianMixture

from semamb_mm.faces.shape_models import PCAShapeModel, fit_similarity
from semamb_mm.faces.sizes import sample_sizes

_COMPONENTS = 3
_VARIANCE = 0.95  # that the PCA's modes explain


def distance(annotations: np.ndarray, predictions: np.ndarray) -> np.ndarray:
    """Return the distance from a prediction, in sizes of the samples."""
    gap = np.linalg.norm(annotations - predictions, axis=-1)
    return gap / sample_sizes(annotations)[:, None]


def regression(
    annotations: np.ndarray, predictions: np.ndarray, spread: np.ndarray
) -> np.ndarray:
    """Return out-of-sample residuals over their uncertainty, as cleanlab's regression.

    The uncertainty has two parts: how large residuals of a landmark usually are, and
    how much predictions differ from model to model; here from view to view.
    """
    residuals = distance(annotations, predictions)
    usual = np.median(residuals, 0)
    differ = spread / sample_sizes(annotations)[:, None]
    return residuals / np.sqrt(usual**2 + differ**2)


def pca_residual(annotations: np.ndarray) -> np.ndarray:
    """Return what principal modes of the data set's shapes do not explain."""
    model = PCAShapeModel.train(annotations, _VARIANCE)
    aligned = fit_similarity(annotations, model.mean, np.ones(annotations.shape[1]))
    offsets = (aligned - model.mean).reshape(len(annotations), -1)
    rest = offsets - offsets @ model.modes.T @ model.modes
    return np.linalg.norm(rest.reshape(annotations.shape), axis=-1)


def shape_mixture(annotations: np.ndarray) -> np.ndarray:
    """Return how unlikely geometric features are under a Gaussian mixture.

    As SLEAP's quality control: distances and angles between neighbouring landmarks.
    That ranks whole instances; here each landmark has the worst of its own features.
    """
    following = np.roll(annotations, -1, 1) - annotations
    lengths = np.linalg.norm(following, axis=-1) / sample_sizes(annotations)[:, None]
    heading = np.arctan2(following[..., 1], following[..., 0])
    turn = heading - np.roll(heading, 1, 1)
    features = np.concatenate([np.log(lengths + 1e-4), np.sin(turn), np.cos(turn)], 1)
    mixture = GaussianMixture(_COMPONENTS, covariance_type="diag", random_state=0)
    mixture.fit(features)
    nearest = mixture.predict(features)
    z = (features - mixture.means_[nearest]) ** 2 / mixture.covariances_[nearest]
    length, sine, cosine = np.split(z, 3, axis=1)
    return np.maximum.reduce([length, np.roll(length, 1, 1), sine, cosine])
