"""Targets that agree over time, from those of neighbouring frames.

Ours, not the papers'. For a few frames a parabola in time follows a landmark's real
path. Where a frame's target leaves that parabola, either the face moved faster or
someone erred. Annotation and search both see the face move, while their errors have
nothing to do with each other: what the two leave the parabola by alike is motion.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ._checks import first_not_finite, which_count

CHUNK = 1024  # rows at a time: the moments of all 300-VW would take gigabytes


def temporal_targets(
    targets: Tensor,
    observed: Tensor,
    found: Tensor,
    sequences: Tensor,
    frames: Tensor,
    *,
    window: int = 5,
    visible: Tensor | None = None,
) -> Tensor:
    """Smooth the targets of each video, as far as the landmarks' motion allows.

    With ``z_s`` a landmark's targets in frames ``s`` of one sequence, let ``(Sz)_t`` be
    ``a`` of ``min over a, b, c: sum_s w(s - t) |a + b (s - t) + c (s - t)^2 - z_s|^2``
    with Cleveland's (1979) weights ``w(d) = (1 - |d / (window + 1)|^3)^3``. The new
    target is ``Sz + k (z - Sz)`` with Wiener's factor, motion by motion and errors,
    ``k = sum (o - So)(p - Sp) / sum |z - Sz|^2`` within [0, 1], summed over all frames
    of all sequences for each landmark: annotations ``o`` and search results ``p`` share
    the real motion and, if their errors are independent, nothing else.

    Motion that is uniform or uniformly accelerated in the image passes unchanged, so
    that the face need not be held still first. Frames that are missing count nowhere.
    A landmark with fewer than four targets in its window, which a parabola meets
    whatever they are, stays as it is. So do all where annotation and search agree.

    Args:
        targets: ``(N, K, 2)`` ``(x, y)``, in units of the image.
        observed: ``(N, K, 2)`` annotations.
        found: ``(N, K, 2)`` what the search found; may be ``targets`` itself.
        sequences: ``(N,)`` integers; frames of the same video have the same.
        frames: ``(N,)`` integers, the frame's number within its video, in any order.
        window: How many frames before and after count; 0 and 1 change nothing.
        visible: ``(N, K)``; landmarks with 0 stay as they are and count nowhere.

    Returns:
        ``(N, K, 2)`` targets, of ``targets``'s dtype.

    Raises:
        ValueError: On shapes that disagree, a negative window, values that are not
            finite at visible landmarks, or a frame that occurs twice.

    Example:
        >>> time = torch.arange(40)
        >>> path = torch.stack((0.02 * time**2, 3.0 * time), -1)[:, None]
        >>> observed, found = path + torch.randn(2, 40, 1, 2)
        >>> same = torch.zeros(40).long()
        >>> calm = temporal_targets(observed, observed, found, same, time)
        >>> bool((calm - path).norm() < (observed - path).norm())
        True
    """
    seen = _check(targets, observed, found, sequences, frames, window, visible)
    # Stable sorts, last key first: by sequence, then by frame.
    order = torch.argsort(frames, stable=True)
    order = order[torch.argsort(sequences[order], stable=True)]
    sequences, frames = sequences[order].long(), frames[order].long()
    _check_once(sequences, frames, order)
    seen = seen[order]
    tracks = torch.cat([t.double() for t in (targets, observed, found)], -1)[order]
    tracks = torch.where(seen[..., None], tracks, 0)
    moves = torch.cat(
        [
            _moves(tracks, sequences, frames, seen, window, rows)
            for rows in torch.arange(len(tracks), device=tracks.device).split(CHUNK)
        ]
    )
    moves, annotators, searches = moves.split(2, -1)
    motion = (annotators * searches).sum((0, 2))
    everything = moves.square().sum((0, 2))
    kept = (motion / torch.where(everything > 0, everything, 1)).clamp(0, 1)
    moved = torch.empty_like(moves)
    moved[order] = (1 - kept)[:, None] * moves
    return (targets + moved.to(targets.dtype)).to(targets.dtype)


def _check_once(sequences: Tensor, frames: Tensor, order: Tensor) -> None:
    """Refuse a frame that occurs twice; all are sorted, ``order`` says from where."""
    again = (sequences[1:] == sequences[:-1]) & (frames[1:] == frames[:-1])
    if again.any():
        row = int(again.nonzero()[0])
        first, second = sorted(order[row : row + 2].tolist())
        raise ValueError(
            f"samples {first} and {second} are both frame {int(frames[row])} of "
            f"sequence {int(sequences[row])}; expected each frame once"
        )


def _moves(
    tracks: Tensor,
    sequences: Tensor,
    frames: Tensor,
    seen: Tensor,
    window: int,
    rows: Tensor,
) -> Tensor:
    """Return where the parabolas pass in these rows, relative to the tracks."""
    here, shown = tracks[rows], seen[rows]
    # sum of w d^i, i = 0..4, and of w d^i (z_s - z_t), i = 0..2
    weights = here.new_zeros(5, *shown.shape)
    values = here.new_zeros(3, *here.shape)
    count = torch.zeros_like(shown, dtype=torch.long)
    for step in range(-window, window + 1):
        other = (rows + step).clamp(0, len(tracks) - 1)
        apart = frames[other] - frames[rows]
        near = (sequences[other] == sequences[rows]) & (other == rows + step)
        near = near & (apart.abs() <= window)
        used = near[:, None] & seen[other] & shown
        distance = apart.double() / (window + 1)
        weight = (1 - distance.abs().clamp(max=1) ** 3) ** 3
        weight = used * weight[:, None]
        difference = tracks[other] - here
        for power in range(5):
            term = weight * (distance**power)[:, None]
            weights[power] += term
            if power < 3:
                values[power].addcmul_(term[..., None], difference)
        count += used
    s0, s1, s2, s3, s4 = weights
    # First row of the inverse of the normal equations' matrix, times their determinant.
    cofactors = (s2 * s4 - s3 * s3, s2 * s3 - s1 * s4, s1 * s3 - s2 * s2)
    determinant = sum(s * c for s, c in zip((s0, s1, s2), cofactors))
    fitted = sum(v * c[..., None] for v, c in zip(values, cofactors))
    enough = (count >= 4)[..., None]
    return torch.where(
        enough, fitted / torch.where(count >= 4, determinant, 1)[..., None], 0
    )


def _check(
    targets: Tensor,
    observed: Tensor,
    found: Tensor,
    sequences: Tensor,
    frames: Tensor,
    window: int,
    visible: Tensor | None,
) -> Tensor:
    """Return which landmarks count, ``(N, K)`` bool; refuse bad arguments."""
    if targets.dim() != 3 or targets.shape[-1] != 2:
        raise ValueError(f"targets must be (N, K, 2), got {tuple(targets.shape)}")
    for name, points in (("observed", observed), ("found", found)):
        if points.shape != targets.shape:
            raise ValueError(
                f"{name} must be {tuple(targets.shape)} like targets, got "
                f"{tuple(points.shape)}"
            )
    for name, numbers in (("sequences", sequences), ("frames", frames)):
        if numbers.shape != targets.shape[:1] or numbers.is_floating_point():
            raise ValueError(
                f"{name} must be ({len(targets)},) integers, got "
                f"{tuple(numbers.shape)} {numbers.dtype}"
            )
    seen = which_count(targets, visible)
    if not isinstance(window, int) or window < 0:
        raise ValueError(f"window must be a number of frames >= 0, got {window!r}")
    for name, points in (
        ("targets", targets),
        ("observed", observed),
        ("found", found),
    ):
        wrong = first_not_finite(points, seen)
        if wrong is not None:
            sample, landmark = wrong
            raise ValueError(
                f"{name} of sample {sample}, landmark {landmark}: "
                f"{points[sample, landmark].tolist()} must be finite where visible"
            )
    return seen
