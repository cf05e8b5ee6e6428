"""The pair loss together with the classifier that its attention reads."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from semamb_mm.functional import class_log_probabilities

from .loss import OSMCAALoss


class JointOSMCAALoss(nn.Module):
    """OSM/CAA and the cross-entropy that trains its class context, in one module.

    It holds the context as losses of pytorch-metric-learning hold their ``W``, and is
    called as they are, so that it works in their trainers. Its parameters must be
    given to an optimizer, and be in the DDP-wrapped model under distributed training.
    The loss is :class:`OSMCAALoss` plus the cross-entropy of the scores
    ``f . c_k / temperature``, as in :class:`semamb_mm.pretrain.OSMCAAHead`.

    Args:
        num_classes (int): Training classes; labels are below it.
        embedding_size (int): Channels of the embeddings.
        classification_weight (float): Of the cross-entropy. Defaults to 1.0.
        **options: :class:`OSMCAALoss`'s.

    Raises:
        ValueError: On an option out of range.

    Example:
        >>> import torch
        >>> loss = JointOSMCAALoss(num_classes=2, embedding_size=4)
        >>> embeddings, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
        >>> loss(embeddings, labels).shape, loss.context.weight.shape
        (torch.Size([]), torch.Size([2, 4]))
    """

    def __init__(
        self,
        num_classes: int,
        embedding_size: int,
        classification_weight: float = 1.0,
        **options: Any,
    ) -> None:
        super().__init__()
        if num_classes < 1 or embedding_size < 1 or classification_weight < 0:
            raise ValueError(
                "JointOSMCAALoss: num_classes and embedding_size must be positive and "
                "classification_weight not negative, got "
                f"{num_classes}, {embedding_size} and {classification_weight}"
            )
        self.pairs = OSMCAALoss(**options)
        self.context = nn.Linear(embedding_size, num_classes, bias=False)
        nn.init.normal_(self.context.weight, std=0.01)
        self.classification_weight = classification_weight

    def forward(
        self, embeddings: Tensor, labels: Tensor, indices_tuple: None = None
    ) -> Tensor:
        """Return the loss of a batch.

        Args:
            embeddings: ``(m, embedding_size)``; normalised inside.
            labels: ``(m,)`` integers.
            indices_tuple: Where pytorch-metric-learning's trainers hand over what a
                miner chose. It must be None: the loss itself mines, softly.

        Returns:
            Tensor ``()``.

        Raises:
            ValueError: On mined pairs, or labels beyond ``num_classes``.
        """
        if indices_tuple is not None:
            raise ValueError(
                "JointOSMCAALoss weights all pairs by online soft mining and takes no "
                "indices_tuple; leave the miner out"
            )
        own = class_log_probabilities(
            embeddings,
            self.context.weight,
            labels,
            temperature=self.pairs.temperature,
        )
        pairs = self.pairs(embeddings, labels, probabilities=own.exp())
        return pairs - self.classification_weight * own.mean()
