"""Sets of pairs of points, and the forces of springs between them.

A set is a :class:`Block`, all pairs of some rows with some columns, or
:class:`Listed`. Its shape ``p`` is ``(r, c)`` or ``(P,)``.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

# Listed pairs that wait until they are summed at once: a sum runs over all points.
_WAITING = 2**20


class Block(NamedTuple):
    """All pairs of ``r`` rows with ``c`` columns."""

    rows: slice
    columns: slice

    @property
    def shape(self) -> tuple[int, int]:
        """Return the numbers of rows and columns."""
        rows, columns = self
        return rows.stop - rows.start, columns.stop - columns.start

    def ends(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pairs' entries of ``vector (m,)``, to be broadcast to ``p``."""
        return vector[self.rows, None], vector[self.columns]

    def give(self, vector: Tensor, mine: Tensor, other: Tensor) -> None:
        """Add numbers ``p`` to the pairs' entries of ``vector (m,)``."""
        vector[self.rows] += mine.sum(dim=1)
        vector[self.columns] += other.sum(dim=0)

    def listed(self, which: Tensor) -> Listed:
        """Return pairs by their row and column in the block ``(P, 2)``."""
        row, column = which.unbind(1)
        return Listed(row + self.rows.start, column + self.columns.start)

    def within(self, pairs: Listed) -> tuple[Tensor, Tensor]:
        """Return the row and column in the block of each pair."""
        return pairs.rows - self.rows.start, pairs.columns - self.columns.start


class Listed(NamedTuple):
    """Pairs by the row and the column of each."""

    rows: Tensor  # (P,)
    columns: Tensor  # (P,)

    def ends(self, vector: Tensor) -> tuple[Tensor, Tensor]:
        """Return the pairs' entries of ``vector (m,)``."""
        return vector[self.rows], vector[self.columns]

    def give(self, vector: Tensor, mine: Tensor, other: Tensor) -> None:
        """Add numbers ``p``, or rows ``(P, D)``, to the pairs' entries of a vector."""
        vector.index_add_(0, self.rows, mine).index_add_(0, self.columns, other)


class Springs:
    """The sums over pairs of ``k_ij (x_i - x_j)`` at ``i``, and its negative at ``j``.

    The gradient by ``x`` of ``sum k_ij ||x_i - x_j||^2 / 2``.

    Args:
        points: ``x (m, D)``.
    """

    def __init__(self, points: Tensor) -> None:
        self.points = points
        self.total = torch.zeros_like(points)
        self.stiffness = torch.zeros_like(points[:, 0])  # sum of k at each point
        self.waiting: list[tuple[Tensor, Tensor, Tensor]] = []

    def add(self, pairs: Block | Listed, stiffness: Tensor) -> None:
        """Add pairs with their ``k (p)``."""
        if not stiffness.numel():
            return
        pairs.give(self.stiffness, stiffness, stiffness)
        if isinstance(pairs, Listed):
            self.waiting.append((*pairs, stiffness))
            if sum(len(k) for *_, k in self.waiting) > _WAITING:
                self._sum_waiting()
            return
        rows, columns = pairs
        self.total[rows].addmm_(stiffness, self.points[columns], alpha=-1)
        self.total[columns].addmm_(stiffness.t(), self.points[rows], alpha=-1)

    def add_exactly(
        self, pairs: Listed, stiffness: Tensor, differences: Tensor
    ) -> None:
        """Add pairs by their ``x_i - x_j (P, D)``, for small ones without rounding."""
        forces = stiffness[:, None] * differences
        pairs.give(self.total, forces, -forces)

    def forces(self) -> Tensor:
        """Return the sums ``(m, D)``, once."""
        self._sum_waiting()
        return self.total.addcmul_(self.stiffness[:, None], self.points)

    def _sum_waiting(self) -> None:
        """Sum the listed pairs, each from both of its ends."""
        if not self.waiting:
            return
        rows, columns, stiffness = map(torch.cat, zip(*self.waiting))
        self.waiting.clear()
        mine, order = torch.cat([rows, columns]).sort()
        starts = torch.searchsorted(
            mine, torch.arange(len(self.points), device=mine.device)
        )
        self.total -= F.embedding_bag(
            torch.cat([columns, rows])[order],
            self.points,
            starts,
            mode="sum",
            per_sample_weights=stiffness.repeat(2)[order],
        )
