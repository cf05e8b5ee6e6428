"""How far latent targets moved from their annotations, as figures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.faces.sizes import face_unit, percent_unit

MOVE_COLUMNS = (
    *("sample", "landmark", "annotation_x", "annotation_y"),
    *("target_x", "target_y", "move_px", "move_percent", "energy"),
)
_FIGURES = ("mean_move", "median_move", "p90_move")
_TRUE_FIGURES = ("annotation_rms", "target_rms")


def summarise_moves(
    annotations: np.ndarray,
    targets: np.ndarray,
    visible: np.ndarray,
    truth: np.ndarray | None = None,
    names: Sequence[str] = (),
) -> dict[str, dict[str, float]]:
    """Return figures of each group of landmarks, in percent of the face's unit.

    Args:
        annotations: ``(N, K, 2)`` image pixels.
        targets: ``(N, K, 2)`` image pixels.
        visible: ``(N, K)`` bool; other landmarks do not count.
        truth: ``(N, K, 2)`` image pixels, where it is known.
        names: Of the ``K`` landmarks: each has figures of its own where regions are not
            known.
    """
    groups = landmark_groups(annotations.shape[1])
    if len(groups) == 1:
        groups.update({name: [k] for k, name in enumerate(names)})
    unit = face_unit(annotations, visible)[:, None]

    def lengths(offsets: np.ndarray) -> np.ndarray:
        return np.linalg.norm(offsets, axis=-1) / unit * 100

    def rms(points: np.ndarray, mask: np.ndarray) -> float:
        return float(np.sqrt(np.mean(lengths(points - truth)[mask] ** 2)))

    moves = lengths(targets - annotations)
    summary = {}
    for name, group in groups.items():
        mask = np.zeros(visible.shape, bool)
        mask[:, group] = visible[:, group]
        if not mask.any():
            continue
        summary[name] = dict(
            mean_move=float(moves[mask].mean()),
            median_move=float(np.median(moves[mask])),
            p90_move=float(np.percentile(moves[mask], 90)),
        )
        if truth is not None:
            summary[name].update(
                annotation_rms=rms(annotations, mask), target_rms=rms(targets, mask)
            )
    return summary


def moves_table(summary: dict[str, dict[str, float]], num_keypoints: int) -> str:
    """Return the figures of :func:`summarise_moves` as lines of text."""
    with_truth = any("target_rms" in values for values in summary.values())
    columns = _FIGURES + _TRUE_FIGURES * with_truth
    lines = [percent_unit(num_keypoints)]
    width = max([12, *(len(name) + 1 for name in summary)])
    lines.append(f"{'landmarks':<{width}}" + "".join(f"{c:>16}" for c in columns))
    for name, values in summary.items():
        cells = "".join(f"{values[c]:>16.2f}" for c in columns)
        lines.append(f"{name:<{width}}{cells}")
    if with_truth:
        lines.append(
            "annotation_rms, target_rms: error of the annotations and of the latent "
            "targets against the true landmarks"
        )
    return "\n".join(lines)


def move_rows(
    keys: Sequence[str],
    annotations: np.ndarray,
    targets: np.ndarray,
    energies: np.ndarray,
    visible: np.ndarray | None = None,
) -> Iterator[list]:
    """Yield the cells of :data:`MOVE_COLUMNS` for every sample and landmark.

    Args:
        keys: The samples' names.
        annotations: ``(N, K, 2)`` image pixels.
        targets: ``(N, K, 2)`` image pixels.
        energies: ``(N, K)`` of the search.
        visible: ``(N, K)``; others do not tell the face's unit.
    """
    moves = np.linalg.norm(targets - annotations, axis=-1)
    percent = 100 * moves / face_unit(annotations, visible)[:, None]
    for i, key in enumerate(keys):
        for k in range(annotations.shape[1]):
            pixels = (*annotations[i, k], *targets[i, k], moves[i, k])
            row = [key, k, *(f"{value:.3f}" for value in pixels)]
            yield row + [f"{percent[i, k]:.3f}", f"{energies[i, k]:.4f}"]


def mean_shape(keypoints: np.ndarray) -> np.ndarray:
    """Return the mean face ``(K, 2)`` in percent of the face's unit, its middle at 0.

    Args:
        keypoints: ``(N, K, 2)``, NaN where not annotated.
    """
    unit = face_unit(keypoints)[:, None, None]
    centred = keypoints - np.nanmean(keypoints, 1, keepdims=True)
    return 100 * np.nanmean(centred / unit, 0)
