"""Online soft mining, class-aware attention, the weighted contrastive loss.

Wang et al., "Deep Metric Learning by Online Soft Mining and Class-Aware
Attention", AAAI 2019 (arXiv 1811.01459).

Symbols: ``f`` an L2-normalised embedding, ``d_ij = ||f_i - f_j||``, ``c_k`` the
context of class ``k`` (a row of a classification layer's weight), ``s`` the
mining scores, ``a`` the attention, ``w = s a`` a pair's weight.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._checks import check_positive


def osm_scores(
    distances: Tensor,
    same_class: Tensor,
    *,
    sigma: float = 0.8,
    margin: float = 1.2,
) -> Tensor:
    """Return how much a pair has to teach: online soft mining.

    ``exp(-d^2 / sigma^2)`` for pairs of one class (near ones, so that a
    class's manifold is kept) and ``max(0, margin - d)`` for pairs of two.

    Args:
        distances: ``d``, any shape.
        same_class: bool, broadcastable to ``distances``.
        sigma: The paper's sigma_OSM, in units of the embedding (unit sphere).
        margin: The paper's alpha, same units.

    Returns:
        Tensor of ``distances``' shape. A pair with itself is not treated
        apart: its score is 1.

    Example:
        >>> osm_scores(torch.tensor([0.0, 0.2]), torch.tensor([True, False]))
        tensor([1., 1.])
    """
    check_positive("sigma", sigma)
    check_positive("margin", margin)
    positive = torch.exp(-distances.square() / sigma**2)
    return torch.where(same_class.bool(), positive, (margin - distances).clamp(min=0))


def caa_scores(
    embeddings: Tensor, context: Tensor, labels: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """Return how well a sample matches its own label: class-aware attention.

    ``a_i = softmax_k(f_i . c_k / temperature)[y_i]``.

    Args:
        embeddings: ``(m, D)``; normalised here.
        context: ``(C, D)``, used as given.
        labels: ``(m,)`` integers below ``C``.
        temperature: Divides the logits; 1 is the paper's formula.

    Returns:
        Tensor ``(m,)`` in [0, 1]; float32 for half precision.

    Raises:
        ValueError: On wrong shapes or labels outside ``[0, C)``.
    """
    _check_embeddings(embeddings, labels)
    check_positive("temperature", temperature)
    if context.dim() != 2 or context.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f"context must be (C, {embeddings.shape[1]}) for embeddings of shape "
            f"{tuple(embeddings.shape)}, got {tuple(context.shape)}"
        )
    labels = labels.to(embeddings.device, torch.long)
    if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < len(context):
        raise ValueError(
            f"labels must be in [0, {len(context)}), the rows of the context; got "
            f"{int(labels.min())} to {int(labels.max())}"
        )
    with torch.autocast(embeddings.device.type, enabled=False):
        features = _normalise(embeddings)
        logits = features @ context.to(features.dtype).t() / temperature
        own = logits.gather(1, labels[:, None])[:, 0]
        return torch.exp(own - logits.logsumexp(dim=1))


def gaussian_weights(probabilities: Tensor, mean: float, sigma: float) -> Tensor:
    """Return ``exp(-(p - mean)^2 / (2 sigma^2))``: weights by how well a class fits.

    What the authors' own code used (not in the paper's text). With mean 1 and
    sigma 0.68 it is the attention in place of the probability itself; with mean
    0.5 and sigma 0.18 it weights the cross-entropy, where samples that are neither
    trivial nor hopeless count most.

    Args:
        probabilities: ``p`` of each sample's own class, any shape.
        mean: Of the Gaussian, where the weight is 1.
        sigma: Its standard deviation.

    Example:
        >>> gaussian_weights(torch.tensor([1.0, 0.5]), 0.5, 0.18)
        tensor([0.0211, 1.0000])
    """
    check_positive("sigma", sigma)
    return torch.exp(-(probabilities - mean).square() / (2 * sigma**2))


def weighted_contrastive_loss(
    embeddings: Tensor,
    labels: Tensor,
    attention: Tensor | None = None,
    *,
    sigma: float = 0.8,
    margin: float = 1.2,
    negative_weight: float = 0.5,
    detach_weights: bool = True,
    chunk_size: int | None = None,
    soft_mining: bool = True,
) -> Tensor:
    """Return the paper's loss: a contrastive loss whose pairs are softly weighted.

    ``L = (1 - lambda) L+ + lambda L-`` with
    ``L+ = sum w+ d^2 / 2 sum w+`` over pairs of one class and
    ``L- = sum w- max(0, margin - d)^2 / 2 sum w-`` over pairs of two;
    ``w_ij = s_ij min(a_i, a_j)`` with :func:`osm_scores` ``s``. A sample's
    pair with itself does not count; an empty set of pairs, or one whose
    weights are all 0, contributes 0.

    The gradient is computed in closed form, together with the loss; it cannot
    be differentiated again.

    Args:
        embeddings: ``(m, D)``; normalised here. A zero vector stays zero and
            gets no gradient.
        labels: ``(m,)`` integers.
        attention: ``(m,)`` per-sample ``a`` in [0, 1], such as
            :func:`caa_scores`; 1 for all if left out.
        sigma: sigma_OSM.
        margin: The paper's alpha.
        negative_weight: The paper's lambda.
        detach_weights: Whether the weights are constants for the gradient
            (pairs are mined, not moved to where their weight is better).
        chunk_size: Rows of the pair matrix at a time, for memory
            ``chunk_size x m``; the same loss and gradient. Left out, a number
            for each pair is kept, which is faster.
        soft_mining: False gives every pair the score 1 (the plain
            contrastive loss, or attention alone).

    Returns:
        Tensor ``()``; float64 for float64 embeddings, else float32.

    Raises:
        ValueError: On wrong shapes, parameters out of range, or embeddings or
            attention that are not finite.
    """
    _check_embeddings(embeddings, labels)
    check_positive("sigma", sigma)
    check_positive("margin", margin)
    if not 0 <= negative_weight <= 1:
        raise ValueError(f"negative_weight must be in [0, 1], got {negative_weight}")
    if chunk_size is not None and chunk_size < 1:
        raise ValueError(f"chunk_size must be at least 1, got {chunk_size}")
    if attention is not None and attention.shape != labels.shape:
        raise ValueError(
            f"attention must have shape {tuple(labels.shape)}, "
            f"got {tuple(attention.shape)}"
        )
    with torch.autocast(embeddings.device.type, enabled=False):
        features = _normalise(embeddings)
        if attention is not None:
            attention = attention.to(features)
            if detach_weights:
                attention = attention.detach()
        options = _Options(
            sigma, margin, negative_weight, detach_weights, chunk_size, soft_mining
        )
        return _WeightedContrastive.apply(
            features, attention, labels.to(features.device), options
        )


# Rows of a block when all pairs are kept: small enough for a processor's cache,
# large enough for its matrix product.
_ROWS = 256


class _Options(NamedTuple):
    sigma: float
    margin: float
    negative_weight: float
    detach_weights: bool
    chunk_size: int | None
    soft_mining: bool


class _Pairs(NamedTuple):
    """Pairs ``i < j``, ``r`` rows against the ``c`` columns from the first row on.

    P positive pairs, listed; negatives dense.
    """

    positives: tuple[Tensor, Tensor]  # their row and column in the block
    squared: Tensor  # (P,) d^2 of the positives
    scores: Tensor  # (P,) s+
    weights: Tensor  # (P,) w+
    inverse: Tensor  # (r, c) 1 / d
    slack: Tensor  # (r, c) max(0, margin - d); 0 where not a negative pair
    negative_weights: Tensor  # (r, c) w-
    weighted: Tensor  # (r, c) w- max(0, margin - d)

    def sums(self) -> Tensor:
        """Return float64 ``sum w+``, ``sum w+ d^2``, ``sum w-``, ``sum w- slack^2``."""
        return torch.stack(
            (
                self.weights.sum(dtype=torch.float64),
                (self.weights * self.squared).sum(dtype=torch.float64),
                self.negative_weights.sum().double(),
                torch.dot(self.weighted.flatten(), self.slack.flatten()).double(),
            )
        )

    def entries(self) -> _Entries:
        """Return what constant weights' gradient needs; ``weighted`` is used up."""
        return _Entries(self.weighted.mul_(self.inverse), self.positives, self.weights)


class _Entries(NamedTuple):
    """A block of the matrix ``d loss / d (f_i . f_j)``, before it is scaled."""

    negatives: Tensor  # (r, c) w- max(0, margin - d) / d
    positives: tuple[Tensor, Tensor]
    weights: Tensor  # (P,) w+


class _Batch(NamedTuple):
    """What the pairs are made of."""

    features: Tensor  # (m, D), of length 1 or 0
    norms: Tensor  # (m,) their squared lengths
    attention: Tensor | None  # (m,)
    labels: Tensor  # (m,)
    options: _Options

    def blocks(self) -> list[slice]:
        """Return the rows of each block."""
        count, step = len(self.features), self.options.chunk_size or _ROWS
        return [slice(i, min(i + step, count)) for i in range(0, count, step)]

    def lower_attention(self, rows: slice) -> Tensor | None:
        """Return ``min(a_i, a_j)`` of a block's pairs; None without attention."""
        if self.attention is None:
            return None
        return torch.minimum(self.attention[rows, None], self.attention[rows.start :])

    def pairs(self, rows: slice) -> _Pairs:
        """Return the pairs of a block, with their weights."""
        features, labels, options = self.features, self.labels, self.options
        columns = slice(rows.start, None)
        squared = torch.addmm(
            self.norms[columns], features[rows], features[columns].t(), alpha=-2
        )
        squared.add_(self.norms[rows, None])
        row, column = (labels[rows, None] == labels[columns]).nonzero(as_tuple=True)
        upper = row < column
        positives = row[upper], column[upper]
        near = squared[positives].clamp_(min=0)
        scores = torch.ones_like(near)
        if options.soft_mining:
            scores = torch.exp(-near / options.sigma**2)
        lower = self.lower_attention(rows)
        weights = scores if lower is None else scores * lower[positives]
        # Where two samples coincide the direction is undefined and the features'
        # difference 0: a bounded 1 / d gives the gradient 0.
        inverse = squared.clamp(min=torch.finfo(squared.dtype).eps).rsqrt_()
        distances = squared.clamp_(min=0).mul_(inverse)
        slack = distances.neg_().add_(options.margin).clamp_(min=0)
        _keep_negatives(slack, positives)
        if options.soft_mining:
            negative = slack if lower is None else lower.mul_(slack)
        else:
            negative = torch.ones_like(slack) if lower is None else lower
            _keep_negatives(negative, positives)
        return _Pairs(
            positives, near, scores, weights, inverse, slack, negative, negative * slack
        )


def _keep_negatives(block: Tensor, positives: tuple[Tensor, Tensor]) -> None:
    """Set to 0, in place, all but pairs ``i < j`` of two classes."""
    block[:, : len(block)].triu_(1)
    block[positives] = 0


class _Terms(NamedTuple):
    """The loss's two terms, and what a unit of a pair's weight counts in each."""

    near: float  # L+
    far: float  # L-
    near_scale: float  # (1 - lambda) / sum w+
    far_scale: float  # lambda / sum w-


def _loss(sums: Tensor, negative_weight: float) -> tuple[Tensor, _Terms]:
    """Return the loss of :meth:`_Pairs.sums` over all blocks, and its terms."""
    total, far = sums[[0, 2]], sums[[1, 3]]
    share = sums.new_tensor([1 - negative_weight, negative_weight])
    parts = torch.where(total > 0, 0.5 * far / total.clamp(min=1e-300), 0)
    scale = torch.where(total > 0, share / total.clamp(min=1e-300), 0)
    return (share * parts).sum(), _Terms(*parts.tolist(), *scale.tolist())


class _WeightedContrastive(torch.autograd.Function):
    """The loss and, in a second pass over the blocks, its gradient."""

    @staticmethod
    def forward(ctx, features, attention, labels, options):
        norms = torch.linalg.vecdot(features, features)
        batch = _Batch(features, norms, attention, labels, options)
        needs_grad = any(ctx.needs_input_grad[:2])
        # Constant weights need but a number for each pair in the second pass.
        keep = needs_grad and options.chunk_size is None and options.detach_weights
        kept = []
        sums = features.new_zeros(4, dtype=torch.float64)
        for rows in batch.blocks():
            pairs = batch.pairs(rows)
            sums += pairs.sums()
            if keep:
                kept.append(pairs.entries())
        loss, terms = _loss(sums, options.negative_weight)
        if not torch.isfinite(sums).all():
            raise ValueError(
                "the embeddings or the attention are not finite, in a batch of "
                f"{len(features)} samples"
            )
        grads = _gradients(batch, terms, kept) if needs_grad else (None, None)
        ctx.save_for_backward(*grads)
        return loss.to(features.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        grads = [None if g is None else g * grad_output for g in ctx.saved_tensors]
        return (*grads, None, None)


def _gradients(
    batch: _Batch, terms: _Terms, kept: list[_Entries]
) -> tuple[Tensor, Tensor | None]:
    """Return the gradients of features and attention; ``kept`` may be empty."""
    constant = batch.options.detach_weights
    grad, grad_attention = torch.zeros_like(batch.features), None
    if batch.attention is not None and not constant:
        grad_attention = torch.zeros_like(batch.attention)
    for index, rows in enumerate(batch.blocks()):
        pairs = None if kept else batch.pairs(rows)
        entries = kept[index] if pairs is None else pairs.entries()
        # d loss / d (f_i . f_j), through the distances
        matrix = entries.negatives.mul_(terms.far_scale)
        listed = entries.weights * -terms.near_scale
        if pairs is not None and not constant:
            listed = listed + _through_weights(
                batch, pairs, rows, terms, matrix, grad_attention
            )
        matrix[entries.positives] = listed
        columns = slice(rows.start, None)
        grad[rows].addmm_(matrix, batch.features[columns])
        grad[columns].addmm_(matrix.t(), batch.features[rows])
    return grad, grad_attention


def _through_weights(
    batch: _Batch,
    pairs: _Pairs,
    rows: slice,
    terms: _Terms,
    matrix: Tensor,
    grad_attention: Tensor | None,
) -> Tensor:
    """Add the weights' own gradient, ``dL/dw = (l - L) / sum w``, in place.

    To ``matrix`` and ``grad_attention``; returns what is to be added to the
    positives' entries.
    """
    options, attention = batch.options, batch.attention
    near = (0.5 * pairs.squared - terms.near) * terms.near_scale
    far = (0.5 * pairs.slack.square()).sub_(terms.far).mul_(terms.far_scale)
    _keep_negatives(far, pairs.positives)
    listed = torch.zeros_like(near)
    if options.soft_mining:
        listed = 2 * near * pairs.weights / options.sigma**2
        active = far * (pairs.slack > 0)
        lower = batch.lower_attention(rows)
        if lower is not None:
            active *= lower
        matrix.addcmul_(active, pairs.inverse)
    if attention is None or grad_attention is None:
        return listed
    change = far * pairs.slack if options.soft_mining else far
    change[pairs.positives] = near * pairs.scores
    # min(a_i, a_j) hands its gradient to the lesser, to both by halves if equal.
    columns = slice(rows.start, None)
    mine, other = attention[rows, None], attention[columns]
    share = (mine < other).to(change) + 0.5 * (mine == other)
    grad_attention[rows] += (change * share).sum(dim=1)
    grad_attention[columns] += (change * (1 - share)).sum(dim=0)
    return listed


def _normalise(embeddings: Tensor) -> Tensor:
    """Return rows of length 1; zero rows stay zero, without a gradient."""
    dtype = torch.promote_types(embeddings.dtype, torch.float32)
    embeddings = embeddings.to(dtype)
    length = embeddings.norm(dim=1, keepdim=True)
    return embeddings / length.clamp(min=1e-30).masked_fill(length == 0, torch.inf)


def _check_embeddings(embeddings: Tensor, labels: Tensor) -> None:
    """Refuse embeddings that are not ``(m, D)`` and labels that are not ``(m,)``."""
    if embeddings.dim() != 2 or not embeddings.is_floating_point():
        raise ValueError(
            "embeddings must be a floating-point tensor (m, D), got "
            f"{embeddings.dtype} {tuple(embeddings.shape)}"
        )
    if labels.shape != embeddings.shape[:1] or labels.is_floating_point():
        raise ValueError(
            f"labels must be ({len(embeddings)},) integers, got {labels.dtype} "
            f"{tuple(labels.shape)}"
        )
