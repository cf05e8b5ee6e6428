"""The pair loss of OSM/CAA as a module, with pairs over all ranks.

Wang et al., "Deep Metric Learning by Online Soft Mining and Class-Aware
Attention", AAAI 2019 (arXiv 1811.01459).
"""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from semamb_mm.functional import (
    caa_scores,
    gaussian_weights,
    weighted_contrastive_loss,
)

ATTENTIONS = ("probability", "gaussian")


class OSMCAALoss(nn.Module):
    """Weighted contrastive loss with soft mining and class-aware attention.

    Wang et al., AAAI 2019; see
    :func:`semamb_mm.functional.weighted_contrastive_loss`. MMPretrain's
    registry has this class under the same name.

    Example:
        ```python
        # Of an OSMCAAHead:
        model = dict(head=dict(loss=dict(type='OSMCAALoss', osm=True, caa=True)))
        ```

        >>> embeddings, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
        >>> round(OSMCAALoss(caa=False)(embeddings, labels).item(), 3)
        0.5

    Args:
        osm (bool): Weight pairs by online soft mining. Defaults to ``True``.
        caa (bool): Weight samples by class-aware attention; needs
            ``context``. Defaults to ``True``. With both off this is the plain
            contrastive loss.
        attention (str): What a sample's attention is: ``'probability'`` of its own
            class, the paper's formula, or ``'gaussian'``, what the authors' own
            code used: ``exp(-(p - 1)^2 / (2 attention_sigma^2))``. Defaults to
            ``'probability'``.
        attention_sigma (float): Of the Gaussian. Defaults to 0.68, the authors'.
        sigma (float): sigma_OSM. Defaults to 0.8.
        half_exponent (bool): Mine pairs of one class by ``exp(-d^2 / (2 sigma^2))``,
            as the authors' own code did; the paper has no 2. Defaults to ``False``.
        margin (float): The paper's alpha. Defaults to 1.2.
        negative_weight (float): The paper's lambda. Defaults to 0.5.
        temperature (float): Of the attention's softmax. Defaults to 1.0.
        detach_weights (bool): Whether the weights are constants for the
            gradient. Defaults to ``True``.
        chunk_size (int, optional): Rows of the pair matrix at a time; 256 on a
            processor and more elsewhere if left out.
        gather (bool): Under distributed training, form pairs over all ranks'
            samples. Gradient and loss are those of one process with the
            whole batch. Defaults to ``True``.
        loss_weight (float): Defaults to 1.0.

    Raises:
        ValueError: On an option out of range.
    """

    def __init__(
        self,
        osm: bool = True,
        caa: bool = True,
        attention: str = "probability",
        attention_sigma: float = 0.68,
        sigma: float = 0.8,
        half_exponent: bool = False,
        margin: float = 1.2,
        negative_weight: float = 0.5,
        temperature: float = 1.0,
        detach_weights: bool = True,
        chunk_size: int | None = None,
        gather: bool = True,
        loss_weight: float = 1.0,
    ) -> None:
        super().__init__()
        if attention not in ATTENTIONS:
            raise ValueError(
                f"OSMCAALoss: attention is one of {ATTENTIONS}, not {attention!r}"
            )
        self.osm, self.caa = osm, caa
        self.gaussian = attention == "gaussian"
        self.attention_sigma = attention_sigma
        self.temperature = temperature
        self.detach_weights = detach_weights
        self.gather = gather
        self.loss_weight = loss_weight
        self.options: dict[str, Any] = dict(
            sigma=sigma * 2**0.5 if half_exponent else sigma,
            margin=margin,
            negative_weight=negative_weight,
            detach_weights=detach_weights,
            chunk_size=chunk_size,
            soft_mining=osm,
        )
        # A wrong option is an error now, not in the first iteration.
        one, label = torch.zeros(1, 1), torch.zeros(1, dtype=torch.long)
        weighted_contrastive_loss(one, label, **self.options)
        caa_scores(one, one, label, temperature=temperature)
        gaussian_weights(one, 1.0, attention_sigma)

    def forward(
        self,
        embeddings: Tensor,
        labels: Tensor,
        context: Tensor | None = None,
        probabilities: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of a batch.

        Args:
            embeddings: ``(m, D)``; normalised inside.
            labels: ``(m,)`` integers.
            context: ``(C, D)`` class context; with ``caa=True`` it is needed, or
                ``probabilities``.
            probabilities: ``(m,)``, of each sample's own class by a classifier that
                is not the context of the normalised embedding.

        Returns:
            Tensor ``()``.

        Raises:
            ValueError: If ``caa`` is on and there is no context, or on
                anything that the functional loss refuses.
        """
        if context is not None and not isinstance(context, Tensor):
            raise ValueError(
                "OSMCAALoss: context must be a tensor (C, D), got "
                f"{type(context).__name__}. Pairs that a miner of "
                "pytorch-metric-learning chose cannot be given: the loss itself mines, "
                "softly; leave the miner out"
            )
        attention = None
        if self.caa:
            if probabilities is None:
                if context is None:
                    raise ValueError(
                        "OSMCAALoss(caa=True) needs the class context (C, D), the "
                        "weight of a classification layer; give it, switch caa off, "
                        "or use JointOSMCAALoss, which holds one"
                    )
                probabilities = self.probabilities(embeddings, context, labels)
            attention = self.attention_of(probabilities)
        if self.gather and _world_size() > 1:
            embeddings = _gather(embeddings)
            if attention is not None:
                attention = _gather(attention)
            labels = torch.cat(_all_ranks(labels))
        loss = weighted_contrastive_loss(embeddings, labels, attention, **self.options)
        return self.loss_weight * loss

    def attention(self, embeddings: Tensor, context: Tensor, labels: Tensor) -> Tensor:
        """Return the class-aware attention ``(m,)`` of samples to their own labels."""
        return self.attention_of(self.probabilities(embeddings, context, labels))

    def attention_of(self, probabilities: Tensor) -> Tensor:
        """Return the attention ``(m,)`` of samples whose own class is so probable."""
        if self.detach_weights:
            probabilities = probabilities.detach()
        if self.gaussian:
            return gaussian_weights(probabilities, 1.0, self.attention_sigma)
        return probabilities

    def probabilities(
        self, embeddings: Tensor, context: Tensor, labels: Tensor
    ) -> Tensor:
        """Return the probability ``(m,)`` of each sample's own class."""
        if self.detach_weights:
            embeddings, context = embeddings.detach(), context.detach()
        return caa_scores(embeddings, context, labels, temperature=self.temperature)


class _TimesWorldSize(torch.autograd.Function):
    """The same values; a gradient ``world`` times as large."""

    @staticmethod
    def forward(ctx, tensor, world):
        ctx.world = world
        return tensor.view_as(tensor)

    @staticmethod
    def backward(ctx, grad_output):
        return grad_output * ctx.world, None


def _gather(tensor: Tensor) -> Tensor:
    """Return all ranks' rows in at least float32, this rank's own with their gradient.

    Every rank computes the same loss of the whole batch. DDP averages the
    ranks' gradients, each rank's being that of its own rows: the factor
    ``world size`` makes the average their sum. Nothing is rounded on the way, so
    that this rank's rows are the ones that the others see.
    """
    tensor = tensor.to(torch.promote_types(tensor.dtype, torch.float32))
    world = _world_size()
    parts = _all_ranks(tensor.detach())
    parts[dist.get_rank()] = _TimesWorldSize.apply(tensor, world)
    return torch.cat(parts)


def _all_ranks(tensor: Tensor) -> list[Tensor]:
    """Return the tensor of each rank, on this one's device; shapes must agree."""
    # Gloo and MPI gather tensors of the processor only.
    on_processor = dist.get_backend() in ("gloo", "mpi")
    sent = (tensor.cpu() if on_processor else tensor).contiguous()
    parts = [torch.empty_like(sent) for _ in range(_world_size())]
    dist.all_gather(parts, sent)
    return [part.to(tensor.device) for part in parts]


def _world_size() -> int:
    """Return the number of ranks, 1 where no process group has been made."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_world_size()
    return 1
