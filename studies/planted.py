"""Wrong annotations of known kinds, planted into annotations taken as right.

Plain numpy: used by the study of the audit, which must not plant what the audit plants
to calibrate itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from semamb_mm.faces.sizes import face_size

SLIPS = {"slip 5 %": 0.05, "slip 10 %": 0.1, "slip 20 %": 0.2, "slip 30 %": 0.3}
KINDS = (*SLIPS, "swap", "shift", "other")


@dataclass(frozen=True)
class Markup:
    """What is known of the K landmarks.

    Attributes:
        mirrored: ``(K,)``, the landmark on the other side; itself without one. Without
            any pair a swap exchanges two landmarks by chance.
        curves: Landmarks in order along each curve. Without any, a shift gives a
            landmark the place of the next one in the list.
    """

    mirrored: np.ndarray
    curves: Sequence[Sequence[int]]


def plant(
    points: np.ndarray,
    markup: Markup,
    shares: Mapping[str, float],
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return annotations with wrong ones among them, and the kind of each.

    Args:
        points: ``(N, K, 2)`` pixels; NaN where not annotated, which stay so.
        markup: Of the landmarks.
        shares: Of each of :data:`KINDS`, the share of landmarks that it shall spoil.
        seed: Of the draws.

    Returns:
        ``(N, K, 2)`` and ``(N, K)``, empty text where nothing was planted. A landmark
        that ends up less than 1 % of its sample's size away counts as right.
    """
    known = np.isfinite(points).all(-1)
    size = face_size(points, known)[:, None]
    spoilt, kinds = points.copy(), np.full(points.shape[:2], "", object)
    for i in range(len(points)):
        rng = np.random.default_rng([seed, i])
        _whole(spoilt[i], kinds[i], points, i, markup, shares, rng)
        _shift(spoilt[i], kinds[i], markup, shares.get("shift", 0), rng)
        _slip(spoilt[i], kinds[i], size[i], shares, rng)
    near = np.linalg.norm(spoilt - points, axis=-1) < 0.01 * size
    kinds[near | ~known | ~np.isfinite(spoilt).all(-1)] = ""
    return np.where((kinds != "")[..., None], spoilt, points), kinds


def _whole(place, kinds, points, i, markup, shares, rng) -> None:
    """Swap left and right, or take another sample's landmarks, moved into the box."""
    landmarks = len(place)
    paired = markup.mirrored != np.arange(landmarks)
    affected = paired.sum() if paired.any() else 2
    swapped = rng.random() < shares.get("swap", 0) * landmarks / affected
    other = rng.random() < shares.get("other", 0)
    source = rng.integers(len(points) - 1)
    pair = rng.choice(landmarks, 2, replace=False)
    if other:
        source += source >= i
        low, side = np.nanmin(place, 0), np.ptp(place[np.isfinite(place[:, 0])], 0)
        theirs = points[source]
        shape = (theirs - np.nanmin(theirs, 0)) / np.nanmax(
            theirs - np.nanmin(theirs, 0), 0
        )
        found = low + side * shape
        use = np.isfinite(found).all(-1)
        place[use], kinds[use] = found[use], "other"
    elif swapped:
        if not paired.any():
            place[pair], kinds[pair] = place[pair[::-1]], "swap"
            return
        place[:] = place[markup.mirrored]
        kinds[paired] = "swap"


def _shift(place, kinds, markup, share, rng) -> None:
    """Move all landmarks of a curve to the next one's place, the last one beyond."""
    draw, pick, back = rng.random(), rng.integers(len(place)), rng.random() < 0.5
    affected = np.mean([len(curve) for curve in markup.curves]) if markup.curves else 1
    if draw >= share * len(place) / affected or (kinds != "").any():
        return
    if not markup.curves:
        place[pick], kinds[pick] = place[(pick + 1) % len(place)], "shift"
        return
    curve = np.array(markup.curves[pick % len(markup.curves)])
    curve = curve[::-1] if back else curve
    last = 2 * place[curve[-1]] - place[curve[-2]]
    place[curve] = np.concatenate([place[curve[1:]], last[None]])
    kinds[curve] = "shift"


def _slip(place, kinds, size, shares, rng) -> None:
    """Move single landmarks in any direction."""
    draw, angle = rng.random(len(place)), rng.uniform(0, 2 * np.pi, len(place))
    begin = 0.0
    for kind, length in SLIPS.items():
        end = begin + shares.get(kind, 0)
        chosen = (begin <= draw) & (draw < end) & (kinds == "")
        move = length * size * np.stack([np.cos(angle), np.sin(angle)], 1)
        place[chosen] += move[chosen]
        kinds[chosen] = kind
        begin = end
