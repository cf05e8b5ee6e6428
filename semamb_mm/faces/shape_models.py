"""Shapes of whole faces fitted to the landmarks a detector is sure of.

Plain numpy; what a learned refiner such as :class:`GHCU` has to beat. A shape is
``(K, 2)`` landmarks in pixels; a similarity is rotation, scale and shift.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def fit_similarity(
    shapes: np.ndarray, points: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Turn, scale and shift shapes onto points, weighted least squares.

    Args:
        shapes: ``(..., K, 2)``.
        points: ``(..., K, 2)``, broadcast against the shapes.
        weights: ``(..., K)``, at least 0; not all of them 0.

    Returns:
        ``(..., K, 2)`` the shapes, transformed. No reflection.
    """
    weights = (weights / weights.sum(-1, keepdims=True))[..., None]
    center = (weights * shapes).sum(-2, keepdims=True)
    target = (weights * points).sum(-2, keepdims=True)
    # As complex numbers a rotation with a scale is one factor.
    z = _complex(shapes - center)
    w = _complex(points - target)
    weights = weights[..., 0]
    energy = (weights * np.abs(z) ** 2).sum(-1, keepdims=True)
    factor = (weights * z.conj() * w).sum(-1, keepdims=True)
    moved = z * factor / np.maximum(energy, 1e-12)
    return np.stack([moved.real, moved.imag], -1) + target


def _complex(points: np.ndarray) -> np.ndarray:
    return points[..., 0] + 1j * points[..., 1]


@dataclass
class PCAShapeModel:
    """Mean shape and principal modes, after Cootes et al. 1995.

    Attributes:
        mean: ``(K, 2)``, unit size.
        modes: ``(M, 2K)`` orthonormal.
        variances: ``(M,)`` of the modes' coefficients.
    """

    mean: np.ndarray
    modes: np.ndarray
    variances: np.ndarray

    @classmethod
    def train(cls, shapes: np.ndarray, variance: float = 0.99) -> PCAShapeModel:
        """Train on shapes ``(N, K, 2)``, aligned with one another first.

        Args:
            shapes: Training shapes, any place and size.
            variance: Share of the variance that the modes explain together.
        """
        ones = np.ones(shapes.shape[1])
        mean = shapes[0] - shapes[0].mean(0)
        for _ in range(5):
            mean = mean / np.sqrt((mean**2).sum(-1).mean())
            aligned = fit_similarity(shapes, mean, ones)
            mean = aligned.mean(0)
        offsets = (aligned - mean).reshape(len(shapes), -1)
        _, singular, modes = np.linalg.svd(offsets, full_matrices=False)
        variances = singular**2 / len(shapes)
        share = np.cumsum(variances) / variances.sum()
        count = int(np.searchsorted(share, variance)) + 1
        return cls(mean, modes[:count], variances[:count])

    def fit(
        self,
        points: np.ndarray,
        weights: np.ndarray,
        noise: float = 0.03,
        iterations: int = 4,
    ) -> np.ndarray:
        """Return the most probable shape given landmarks of unequal trust.

        Alternates the similarity and the modes' coefficients, which have a normal
        prior with the training variances.

        Args:
            points: ``(K, 2)`` detected landmarks, pixels.
            weights: ``(K,)`` trust, at least 0: the inverse variance of a landmark
                in units of ``1 / noise**2``.
            noise: Standard deviation of a detected landmark of weight 1, relative
                to the face's size.
            iterations: Defaults to 4.

        Returns:
            ``(K, 2)`` pixels.
        """
        shape = self.mean
        modes = self.modes.reshape(len(self.modes), -1, 2)
        precision = np.diag(1 / self.variances)
        for _ in range(iterations):
            observed = fit_similarity(points, shape, weights)
            offset = (observed - self.mean).reshape(-1)
            trust = np.repeat(weights, 2) / noise**2
            normal = (self.modes * trust) @ self.modes.T + precision
            b = np.linalg.solve(normal, self.modes @ (trust * offset))
            shape = self.mean + np.tensordot(b, modes, 1)
        return fit_similarity(shape, points, weights)


def nearest_shape(
    shapes: np.ndarray, points: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """Return the training shape that fits the trusted landmarks best.

    Args:
        shapes: ``(N, K, 2)``.
        points: ``(K, 2)`` detected landmarks, pixels.
        weights: ``(K,)`` trust, at least 0.

    Returns:
        ``(K, 2)``: of all shapes, turned, scaled and shifted onto the points, that
        of least weighted squared distance.
    """
    fitted = fit_similarity(shapes, points, weights)
    errors = (weights * ((fitted - points) ** 2).sum(-1)).sum(-1)
    return fitted[errors.argmin()]
