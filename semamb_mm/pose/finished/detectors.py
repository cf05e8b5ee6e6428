"""Two detectors on the same held-out samples: which errs less, and is that certain?

Held-out annotations may be as noisy as those of the training: what an annotation errs
by adds the same to the mean square of either detector's distance from it, so that the
difference of the two is fair. It is the mean distance that noise would bend.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from semamb_mm.audit.advice import Estimate
from semamb_mm.functional import half_samples, interval


@dataclass(frozen=True)
class Difference:
    """Two detectors' distances from some landmarks' annotations.

    Attributes:
        first: RMS of the one detector, in units.
        second: Of the other.
        change: Of the mean square, as a share of the first one's; negative where the
            second is nearer. With a 95 % interval.
    """

    first: float
    second: float
    change: Estimate

    @property
    def better(self) -> bool:
        """Whether the second is certainly nearer."""
        return self.change.high < 0

    @property
    def worse(self) -> bool:
        """Whether the second is certainly farther away."""
        return self.change.low > 0


def compare_detectors(
    predictions: Sequence[Tensor],
    annotations: Tensor,
    seen: Tensor,
    units: Tensor,
    groups: Tensor,
    regions: Mapping[str, Sequence[int]],
    resamples: int = 400,
    seed: int = 0,
) -> dict[str, Difference]:
    """Return how two detectors differ on landmarks that neither was trained on.

    Args:
        predictions: Two of ``(N, K, 2)`` pixels.
        annotations: ``(N, K, 2)`` pixels.
        seen: ``(N, K)`` bool, which landmarks are annotated.
        units: ``(N,)`` pixels that distances are divided by.
        groups: ``(N,)`` number of each sample's group, such as its picture: intervals
            are of halves of the groups.
        regions: Name to landmarks. Those without an annotated one are left out.
        resamples: How many halves.
        seed: Of their choice.
    """
    squares = torch.stack(
        [
            ((points - annotations) / units[:, None, None]).double().square().sum(-1)
            for points in predictions
        ],
        -1,
    )
    squares = torch.where(seen[..., None], squares, 0)
    kept = {name: list(chosen) for name, chosen in regions.items()}
    kept = {name: chosen for name, chosen in kept.items() if seen[:, chosen].any()}

    def sums(rows: Tensor | slice = slice(None)) -> Tensor:
        return torch.stack(
            [squares[rows][:, each].sum((0, 1)) for each in kept.values()]
        )

    def changes(rows: Tensor | slice = slice(None)) -> Tensor:
        first, second = sums(rows).unbind(-1)
        return (second - first) / first.clamp(min=1e-300)

    drawn = half_samples(
        groups, changes, resamples, torch.Generator().manual_seed(seed)
    )
    value = changes()
    low, high = interval(value, drawn)
    numbers = torch.stack([seen[:, each].sum() for each in kept.values()])
    rms = (sums() / numbers[:, None]).sqrt()
    return {
        name: Difference(
            *map(float, rms[row]),
            Estimate(float(value[row]), float(low[row]), float(high[row])),
        )
        for row, name in enumerate(kept)
    }


def verdict(everything: Difference, regions: Mapping[str, Difference]) -> str:
    """Return which detector to keep, as a sentence.

    Args:
        everything: Of all landmarks together. The second is kept only if it is
            certainly nearer.
        regions: Of parts of them.
    """
    worse = [name for name, difference in regions.items() if difference.worse]
    change = everything.change
    ends = f"{100 * change.low:+.1f} to {100 * change.high:+.1f} %"
    if everything.better:
        text = f"Keep the second: it is certainly nearer ({ends})"
    elif everything.worse:
        text = f"Keep the first: the second is certainly farther away ({ends})"
    else:
        text = f"Keep the first: the second is not certainly nearer ({ends})"
    if worse:
        text += f". Certainly farther away at {', '.join(worse)}"
        if everything.better:
            text += ": freeze these, LatentTargetHook(freeze=[...])"
    return text + "."
