"""Online soft mining, class-aware attention, the weighted contrastive loss.

Wang et al., "Deep Metric Learning by Online Soft Mining and Class-Aware
Attention", AAAI 2019 (arXiv 1811.01459).

Symbols: ``f`` an L2-normalised embedding, ``d_ij = ||f_i - f_j||``, ``c_k`` the
context of class ``k`` (a row of a classification layer's weight), ``s`` the
mining scores, ``a`` the attention, ``w = s a`` a pair's weight.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from ._checks import check_positive
from ._pair_walk import Options, loss_and_gradients, row_lengths


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


def class_log_probabilities(
    embeddings: Tensor, context: Tensor, labels: Tensor, *, temperature: float = 1.0
) -> Tensor:
    """Return the log of each sample's probability of its own class.

    ``log softmax_k(f_i . c_k / temperature)[y_i]``, the log of :func:`caa_scores`. The
    negative of its mean is the cross-entropy that trains the context.

    Args:
        embeddings: ``(m, D)``; normalised here.
        context: ``(C, D)``, used as given.
        labels: ``(m,)`` integers below ``C``.
        temperature: Divides the logits.

    Returns:
        Tensor ``(m,)``, not above 0; float32 for half precision.

    Raises:
        ValueError: On wrong shapes or labels outside ``[0, C)``.

    Example:
        >>> embeddings, context = torch.tensor([[0.0, 3.0]]), torch.eye(2)
        >>> class_log_probabilities(embeddings, context, torch.tensor([1]))
        tensor([-0.3133])
    """
    _check_embeddings(embeddings, labels)
    check_positive("temperature", temperature)
    if context.dim() != 2 or context.shape[1] != embeddings.shape[1]:
        raise ValueError(
            f"context must be (C, {embeddings.shape[1]}) for embeddings of shape "
            f"{tuple(embeddings.shape)}, got {tuple(context.shape)}"
        )
    labels = labels.to(embeddings.device, torch.long)
    # A compiled graph cannot look at values; gather() refuses the same labels.
    if len(labels) and not _is_compiling():
        least, most = torch.stack(labels.aminmax()).tolist()
        if least < 0 or most >= len(context):
            raise ValueError(
                f"labels must be in [0, {len(context)}), the rows of the context; got "
                f"{least} to {most}"
            )
    with torch.autocast(embeddings.device.type, enabled=False):
        embeddings = _at_least_single(embeddings)
        logits = embeddings @ context.to(embeddings.dtype).t()
        logits = logits / (row_lengths(embeddings) * temperature)
        return logits.log_softmax(dim=1).gather(1, labels[:, None])[:, 0]


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
    return class_log_probabilities(
        embeddings, context, labels, temperature=temperature
    ).exp()


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
    be differentiated again. Negative pairs that are so close that float32's
    product cannot tell their distance are measured by their difference; with a
    distance below 2e-6 they have no gradient.

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
        chunk_size: Rows of the pair matrix at a time, for a few times
            ``chunk_size x m`` numbers of memory; the same loss and gradient. Left
            out, 256 on a processor, and more elsewhere.
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
        embeddings = _at_least_single(embeddings)
        if attention is not None:
            attention = attention.to(embeddings)
            if detach_weights:
                attention = attention.detach()
        options = Options(
            sigma, margin, negative_weight, detach_weights, chunk_size, soft_mining
        )
        return _WeightedContrastive.apply(
            embeddings, attention, labels.to(embeddings.device, torch.long), options
        )


class _WeightedContrastive(torch.autograd.Function):
    """The loss; its gradient is computed with it."""

    @staticmethod
    def forward(ctx, embeddings, attention, labels, options):
        wanted = any(ctx.needs_input_grad[:2])
        compute = _operator if _is_compiling() else _compute
        loss, *grads = compute(embeddings, labels, attention, *options, wanted)
        ctx.save_for_backward(*grads)
        return loss

    @staticmethod
    @once_differentiable
    def backward(ctx, grad_output):
        grads = [
            g * grad_output if needed else None
            for g, needed in zip(ctx.saved_tensors, ctx.needs_input_grad)
        ]
        return (*grads, None, None)


def _compute(
    embeddings: Tensor,
    labels: Tensor,
    attention: Tensor | None,
    sigma: float,
    margin: float,
    negative_weight: float,
    detach_weights: bool,
    chunk_size: int | None,
    soft_mining: bool,
    wanted: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Return :func:`loss_and_gradients`, empty where there is none."""
    options = Options(
        sigma, margin, negative_weight, detach_weights, chunk_size, soft_mining
    )
    loss, *grads = loss_and_gradients(embeddings, labels, attention, options, wanted)
    by_embeddings, by_attention = (
        embeddings.new_empty(0) if grad is None else grad for grad in grads
    )
    return loss, by_embeddings, by_attention


def _shapes(embeddings, labels, attention, *options):
    """Return empty tensors of the shapes of what :func:`_compute` returns."""
    *_, detach_weights, _, _, wanted = options
    nothing = embeddings.new_empty(0)
    attends = wanted and attention is not None and not detach_weights
    return (
        embeddings.new_empty(()),
        torch.empty_like(embeddings) if wanted else nothing,
        torch.empty_like(attention) if attends else nothing.clone(),
    )


def _is_compiling() -> bool:
    """Return whether torch.compile is at work; PyTorch before 2.4 has no operators."""
    return _operator is not _compute and torch.compiler.is_compiling()


# A compiled graph holds the loss as one node, which need not be looked into.
_operator: Callable = _compute
if hasattr(torch.library, "custom_op"):
    _operator = torch.library.custom_op(
        "semamb_mm::weighted_contrastive_loss", _compute, mutates_args=()
    )
    _operator.register_fake(_shapes)


def _at_least_single(embeddings: Tensor) -> Tensor:
    """Return half precision as float32, others as they are."""
    return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))


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
