"""The weighted contrastive loss and its gradient, block by block of the pairs.

Symbols as in :mod:`semamb_mm.functional.pair_mining`. The gradient by ``f_i`` is
``sum_j k_ij (f_i - f_j)``, with the stiffness ``k = w`` of a positive pair and
``-w max(0, margin - d) / d`` of a negative one: see :class:`._pairs.Springs`. Each is
scaled, by ``(1 - lambda) / sum w+`` or ``lambda / sum w-``. Where weights are constant
that is done at the end, and each pair is seen once. Weights that have a gradient need
the loss first, and a second walk.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from ._pairs import Block, Listed, Springs

# Rows of a block on a processor: small enough for its cache, large enough for its
# matrix product. Elsewhere a block has about so many pairs.
_ROWS = 256
_PAIRS = 2**24

# Up to this share of a block's pairs, a list of them costs less than all of them.
_LISTED = 0.06

# The product gives a squared distance up to a few roundings of ||x_i||^2 + ||x_j||^2.
# Negatives that are no more than so many roundings apart are measured again by their
# difference, unless a block has more than so many of them for each of its rows.
_CLOSE = 4000
_CLOSE_PER_ROW = 4

# Features that are no more than so many roundings apart coincide: their pair has no
# direction, and no gradient.
_COINCIDE = 16


class Options(NamedTuple):
    """Those of :func:`..pair_mining.weighted_contrastive_loss`."""

    sigma: float
    margin: float
    negative_weight: float
    detach_weights: bool
    chunk_size: int | None
    soft_mining: bool


class _Terms(NamedTuple):
    """The loss's two terms, and what a unit of a pair's weight counts in each."""

    near: float = 0.0  # L+
    far: float = 0.0  # L-
    near_scale: float = 1.0  # (1 - lambda) / sum w+
    far_scale: float = 1.0  # lambda / sum w-


def loss_and_gradients(
    embeddings: Tensor,
    labels: Tensor,
    attention: Tensor | None,
    options: Options,
    wanted: bool,
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Return the loss and the gradients by embeddings and attention, if wanted.

    The latter is None where weights are constant.

    Raises:
        ValueError: If embeddings or attention are not finite.
    """
    batch = _Batch(embeddings, labels, attention, options)
    constant = options.detach_weights
    walk = _Walk(batch, _Terms(), gradient=wanted and constant)
    terms = _terms(walk.sums.tolist(), options.negative_weight)
    share = options.negative_weight
    loss = embeddings.new_tensor((1 - share) * terms.near + share * terms.far)
    if not wanted:
        return loss, None, None
    if constant:
        forces = walk.near.forces().mul_(terms.near_scale)
        forces.add_(walk.far.forces(), alpha=terms.far_scale)
        return loss, batch.by_embeddings(forces), None
    walk = _Walk(batch, terms, gradient=True)
    grad = batch.by_embeddings(walk.near.forces().add_(walk.far.forces()))
    attended = walk.grad_attention
    return loss, grad, None if attended is None else batch.unsorted(attended)


class _Batch:
    """What the pairs are made of, in the order of the labels.

    Row ``i`` forms positive pairs with the rows from ``i + 1`` to ``ends[i]`` and
    negative ones with those from there on.
    """

    def __init__(
        self,
        embeddings: Tensor,
        labels: Tensor,
        attention: Tensor | None,
        options: Options,
    ) -> None:
        self.options = options
        labels, self.order = labels.sort(stable=True)
        self.lengths = row_lengths(embeddings)[self.order]  # (m, 1)
        self.features = embeddings[self.order].div_(self.lengths)  # (m, D)
        # Seen from their mean, for features that are all near each other.
        self.points = self.features - self.features.mean(dim=0)  # (m, D)
        self.norms = torch.linalg.vecdot(self.points, self.points)  # (m,)
        self.attention = None if attention is None else attention[self.order]  # (m,)
        self.ends = torch.searchsorted(labels, labels, right=True)  # (m,)
        # Positive pairs, row by row: of a row, before a row, and a row's first column
        # less those before it.
        index = torch.arange(len(labels), device=labels.device)
        self.partners = self.ends - index - 1
        before = self.partners.cumsum(0) - self.partners
        # The host waits for the device once for both.
        self.host_ends, self.host_before = torch.stack([self.ends, before]).cpu()
        self.first_partner = index + 1 - before
        self.extent = self._finite_extent()
        # A squared distance that no pair has, beyond the margin.
        self.outside = 2 * max(4.0, options.margin**2)

    def _finite_extent(self) -> float:
        """Return the largest squared norm, or refuse the batch."""
        if not len(self.norms):
            return 0.0
        attention = self.norms if self.attention is None else self.attention
        extent, total = torch.stack([self.norms.amax(), attention.sum()]).tolist()
        if not math.isfinite(extent) or not math.isfinite(total):
            raise ValueError(
                "the embeddings or the attention are not finite, in a batch of "
                f"{len(self.points)} samples"
            )
        return extent

    def blocks(self) -> Iterator[slice]:
        """Yield the rows of each block."""
        count, step = len(self.points), self.options.chunk_size
        if step is None:
            step = block_rows(count, self.points.device)
        for start in range(0, count, step):
            yield slice(start, min(start + step, count))

    def lower_attention(self, pairs: Block | Listed) -> Tensor | None:
        """Return ``min(a_i, a_j) (p)``; None without attention."""
        if self.attention is None:
            return None
        return torch.minimum(*pairs.ends(self.attention))

    def squared(self, rows: slice) -> Tensor:
        """Return ``d^2`` of rows with all points from the first of them on."""
        rest = slice(rows.start, None)
        squared = torch.addmm(
            self.norms[rest], self.points[rows], self.points[rest].t(), alpha=-2
        )
        return squared.add_(self.norms[rows, None])

    def positives(self, rows: slice) -> tuple[Block, Listed]:
        """Return the block that holds the positive pairs of rows, and their list."""
        last = rows.stop - 1
        stop = int(self.host_ends[last])
        first = int(self.host_before[rows.start])
        total = int(self.host_before[last]) + stop - rows.stop - first
        row = torch.repeat_interleave(self.partners[rows], output_size=total)
        row += rows.start
        column = torch.arange(first, first + total, device=row.device)
        column += self.first_partner[row]
        return Block(rows, slice(rows.start, stop)), Listed(row, column)

    def negatives(self, squared: Tensor, rows: slice) -> tuple[Block, Tensor]:
        """Return the columns of :meth:`squared` that hold negative pairs.

        What else is in them is set, in place, to a distance outside the margin.
        """
        first = int(self.host_ends[rows.start])
        last = int(self.host_ends[rows.stop - 1])
        squared = squared[:, first - rows.start :]
        columns = torch.arange(first, last, device=squared.device)
        squared[:, : last - first].masked_fill_(
            columns < self.ends[rows, None], self.outside
        )
        return Block(rows, slice(first, len(self.points))), squared

    def close(self, block: Block, squared: Tensor, least: float) -> Listed | None:
        """Return pairs whose distance the product cannot tell.

        If they are many there is no list: the product is repeated in float64.
        """
        share = _CLOSE * torch.finfo(squared.dtype).eps
        if least >= 2 * share * self.extent:
            return None
        mine, other = block.ends(self.norms)
        found = (squared < share * (mine + other)).nonzero()
        if len(found) <= _CLOSE_PER_ROW * len(squared):
            return block.listed(found)
        rows, columns = (
            self.features[which].to(exact_dtype(squared.device)) for which in block
        )
        norms = (torch.linalg.vecdot(x, x) for x in (rows, columns))
        exact = torch.addmm(next(norms)[:, None], rows, columns.t(), alpha=-2)
        squared.copy_(
            exact.add_(next(norms)).where(squared < self.outside, self.outside)
        )
        return None

    def active(self, block: Block, squared: Tensor, least: float) -> Listed | None:
        """Return the pairs within the margin, if a list of them pays."""
        if squared.device.type != "cpu" or not self.options.detach_weights:
            return None
        limit = self.options.margin**2
        if least >= limit:
            return block.listed(self.order.new_empty(0, 2))
        # Few rows tell if there are far too many.
        some = squared[::16] < limit
        if int(some.count_nonzero()) > 2 * _LISTED * some.numel():
            return None
        active = squared < limit
        if _pays(int(active.count_nonzero()), block):
            return block.listed(active.nonzero())
        return None

    def weight_of_all(self) -> Tensor | float:
        """Return the sum of all pairs' weights where they are not mined."""
        if self.attention is None:
            return len(self.points) * (len(self.points) - 1) / 2
        lower = self.attention.sort(descending=True).values
        lower = lower.to(exact_dtype(lower.device))
        return (lower * torch.arange(len(lower), device=lower.device)).sum()

    def by_embeddings(self, grad: Tensor) -> Tensor:
        """Return the gradient by the embeddings; that by the features is used up."""
        along = torch.linalg.vecdot(grad, self.features)[:, None]
        return self.unsorted(
            grad.addcmul_(along, self.features, value=-1).div_(self.lengths)
        )

    def unsorted(self, grad: Tensor) -> Tensor:
        """Return rows in the order in which they came."""
        return grad[self.order.argsort()]


class _Walk:
    """One way over all pairs: the loss's sums and the gradient by the features.

    Args:
        batch: What the pairs are made of.
        terms: What a pair counts.
        gradient: Whether it is wanted.
    """

    def __init__(self, batch: _Batch, terms: _Terms, gradient: bool) -> None:
        self.batch, self.terms, self.options = batch, terms, batch.options
        points = batch.points
        # sum w+, sum w+ d^2, sum w-, sum w- slack^2
        self.sums = points.new_zeros(4, dtype=exact_dtype(points.device))
        self.gradient = gradient
        self.near, self.far = Springs(points), Springs(points)
        self.grad_attention = None
        if batch.attention is not None and not self.options.detach_weights:
            self.grad_attention = torch.zeros_like(batch.attention)
        for rows in batch.blocks():
            squared = batch.squared(rows)
            self._add_near(*batch.positives(rows), squared)
            self._add_far(*batch.negatives(squared, rows))
        if not self.options.soft_mining:
            self.sums[2] = batch.weight_of_all() - self.sums[0]

    def _add_near(self, block: Block, pairs: Listed, squared: Tensor) -> None:
        """Add a block's positive pairs."""
        if not len(pairs.rows):
            return
        options, terms = self.options, self.terms
        found = squared[block.within(pairs)].clamp_(min=0)
        scores = torch.ones_like(found)
        if options.soft_mining:
            scores = torch.exp(-found / options.sigma**2)
        lower = self.batch.lower_attention(pairs)
        weights = scores if lower is None else scores * lower
        self._count(0, weights, weights * found)
        if not self.gradient:
            return
        stiffness = weights * terms.near_scale
        if not options.detach_weights:  # dL/dw = (l - L) / sum w
            change = (0.5 * found - terms.near).mul_(terms.near_scale)
            self._attend(pairs, change * scores)
            if options.soft_mining:
                stiffness -= 2 / options.sigma**2 * change * weights
        # Not all devices can sum over a list.
        device = stiffness.device.type
        if device in ("cpu", "cuda") and _pays(len(stiffness), block):
            self.near.add(pairs, stiffness)
        else:
            matrix = squared.new_zeros(block.shape)
            matrix[block.within(pairs)] = stiffness
            self.near.add(block, matrix)

    def _add_far(self, block: Block, squared: Tensor) -> None:
        """Add a block's negative pairs, by a list where few are within the margin."""
        if not squared.numel():
            return
        least = float(squared.amin())
        close = self.batch.close(block, squared, least)
        if close is not None:
            squared[block.within(close)] = self.batch.outside
            features = self.batch.features
            difference = features[close.rows] - features[close.columns]
            stiffness = self._stiffness(
                close, torch.linalg.vecdot(difference, difference)
            )
            self.far.add_exactly(close, stiffness, difference)
        pairs: Block | Listed = block
        active = self.batch.active(block, squared, least)
        if active is not None:
            pairs, squared = active, squared[block.within(active)]
            if not squared.numel():
                return
        stiffness = self._stiffness(pairs, squared)
        if self.gradient:
            self.far.add(pairs, stiffness)

    def _stiffness(self, pairs: Block | Listed, squared: Tensor) -> Tensor:
        """Count negative pairs; return their ``k``. ``d^2 (p)`` is used up."""
        options, terms, batch = self.options, self.terms, self.batch
        hidden = None if options.detach_weights else squared >= batch.outside
        least = _COINCIDE * torch.finfo(squared.dtype).eps
        inverse = F.threshold(squared, least**2, math.inf).rsqrt_()
        distances = squared.mul_(inverse)
        slack = distances.neg_().add_(options.margin).clamp_(min=0)
        lower = batch.lower_attention(pairs)
        if options.soft_mining:
            weights = slack if lower is None else lower * slack
        else:
            weights = torch.ones_like(slack) if lower is None else lower
        weighted = weights * slack
        self._count(2, weights, weighted * slack)
        stiffness = weighted.mul_(inverse).mul_(-terms.far_scale)
        if hidden is None or not self.gradient:
            return stiffness
        # dL/dw = (l - L) / sum w
        change = (0.5 * slack.square()).sub_(terms.far).mul_(terms.far_scale)
        change.masked_fill_(hidden, 0)
        if options.soft_mining:
            active = change * (slack > 0)
            active = active if lower is None else active * lower
            stiffness.addcmul_(active, inverse, value=-1)
            change *= slack
        self._attend(pairs, change)
        return stiffness

    def _count(self, index: int, weights: Tensor, weighted: Tensor) -> None:
        """Add to a sum of weights, and to the next, of what they weight."""
        # Exactness costs time in a block, whose sum errs by some roundings.
        dtype = self.sums.dtype if weights.dim() == 1 else None
        both = torch.stack([weights.sum(dtype=dtype), weighted.sum(dtype=dtype)])
        self.sums[index : index + 2] += both

    def _attend(self, pairs: Block | Listed, change: Tensor) -> None:
        """Add the gradient by pairs' lower attention to that by the attention."""
        if self.grad_attention is None or self.batch.attention is None:
            return
        # min(a_i, a_j) hands its gradient to the lesser, to both by halves if equal.
        mine, other = pairs.ends(self.batch.attention)
        share = (mine < other).to(change) + 0.5 * (mine == other)
        pairs.give(self.grad_attention, change * share, change * (1 - share))


def row_lengths(embeddings: Tensor) -> Tensor:
    """Return what divides rows to length 1 ``(m, 1)``; infinite for a zero row."""
    length = torch.linalg.vector_norm(embeddings, dim=1, keepdim=True)
    return length.clamp(min=1e-30).masked_fill(length == 0, torch.inf)


def block_rows(count: int, device: torch.device) -> int:
    """Return the rows of a block of ``count`` points' pairs."""
    if device.type == "cpu":
        return _ROWS
    return max(_ROWS, _PAIRS // max(count, 1))


def _pays(count: int, block: Block) -> bool:
    """Return whether a list is the better way for so many of a block's pairs."""
    rows, columns = block.shape
    return count <= _LISTED * rows * columns


def exact_dtype(device: torch.device) -> torch.dtype:
    """Return the dtype of long sums: MPS has no float64."""
    return torch.float32 if device.type == "mps" else torch.float64


def _terms(sums: list[float], negative_weight: float) -> _Terms:
    """Return the terms of the loss by the sums of a walk."""
    shares = (1 - negative_weight, negative_weight)
    totals, weighted = sums[0::2], sums[1::2]
    parts = [0.5 * w / t if t > 0 else 0.0 for w, t in zip(weighted, totals)]
    scales = [s / t if t > 0 else 0.0 for s, t in zip(shares, totals)]
    return _Terms(*parts, *scales)
