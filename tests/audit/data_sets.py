"""Annotated data sets with a detector that fails now and then."""

from types import SimpleNamespace

import numpy as np


def faces(samples=300, landmarks=16, wrong=0.0, failing=0.02, seed=0):
    """Return arrays of an audit, and what is wrong.

    Shapes differ from sample to sample along a few modes. A failing detector is off as
    far as a slip; half of the time it knows.
    """
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, landmarks, endpoint=False)
    mean = 40 * np.stack([np.cos(angle), 1.3 * np.sin(angle)], -1)
    modes = rng.standard_normal((4, landmarks, 2))
    truth = mean + 2 * np.tensordot(rng.standard_normal((samples, 4)), modes, 1)
    truth += 100 + 10 * rng.standard_normal((samples, 1, 2))
    annotations = truth + 0.7 * rng.standard_normal(truth.shape)
    points = truth + 1.2 * rng.standard_normal(truth.shape)
    points += 1.0 * rng.standard_normal((samples, 1, 2))
    failed = rng.random((samples, landmarks)) < failing
    points += moves(failed, 25, rng)
    confidences = np.clip(0.9 + 0.05 * rng.standard_normal(failed.shape), 0, 1)
    confidences[failed & (rng.random(failed.shape) < 0.5)] = 0.2
    slipped = rng.random(failed.shape) < wrong
    annotations += moves(slipped, 25, rng)
    keys = [f"face{i}" for i in range(samples)]
    return SimpleNamespace(
        arrays=(keys, annotations, points, confidences),
        annotations=annotations,
        points=points,
        confidences=confidences,
        wrong=slipped,
        failed=failed,
        mirrored=(landmarks // 2 - np.arange(landmarks)) % landmarks,
    )


def moves(where, length, rng):
    """Return moves ``(..., 2)`` in any direction; 0 elsewhere."""
    angle = rng.uniform(0, 2 * np.pi, where.shape)
    return length * where[..., None] * np.stack([np.cos(angle), np.sin(angle)], -1)
