"""The head that trains an embedding by OSM/CAA and cross-entropy together."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn


@MODELS.register_module()
class OSMCAAHead(ClsHead):
    """Embedding head trained by OSM/CAA and cross-entropy together.

    The embedding is L2-normalised. The head holds the class context, a
    classification layer without bias: cross-entropy over
    ``f . c_k / temperature`` trains it, class-aware attention reads it
    (Wang et al., AAAI 2019). The metric loss sees the same embedding.

    Args:
        num_classes (int): Training classes, the rows of the context.
        in_channels (int): Channels of the backbone's feature.
        embedding_channels (int, optional): Size of the embedding, made by a
            linear layer; ``in_channels`` without one if left out.
        loss (dict): The metric loss, :class:`OSMCAALoss` or any module with
            its ``forward``. Defaults to ``dict(type='OSMCAALoss')``.
        temperature (float, optional): Of the class scores; the metric loss's
            own if left out, or 1.
        classification_loss (dict): Defaults to MMPretrain's cross-entropy.
        **kwargs: The rest of :class:`mmpretrain.models.ClsHead`'s.

    Raises:
        ValueError: If a size is not positive.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        embedding_channels: int | None = None,
        loss: dict = dict(type="OSMCAALoss"),
        temperature: float | None = None,
        classification_loss: dict = dict(type="CrossEntropyLoss", loss_weight=1.0),
        init_cfg: dict | None = dict(type="Normal", layer="Linear", std=0.01),
        **kwargs,
    ) -> None:
        super().__init__(loss=loss, init_cfg=init_cfg, **kwargs)
        for name, value in (
            ("num_classes", num_classes),
            ("in_channels", in_channels),
            ("embedding_channels", embedding_channels or 1),
            ("temperature", 1 if temperature is None else temperature),
        ):
            if value <= 0:
                raise ValueError(f"OSMCAAHead: {name} must be positive, got {value}")
        self.num_classes = num_classes
        width = embedding_channels or in_channels
        self.embed = (
            nn.Linear(in_channels, width) if embedding_channels else nn.Identity()
        )
        self.context = nn.Linear(width, num_classes, bias=False)
        self.classification_loss = MODELS.build(classification_loss)
        if temperature is None:
            temperature = getattr(self.loss_module, "temperature", 1.0)
        self.temperature = temperature

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return the L2-normalised embedding ``(B, D)``."""
        return F.normalize(self.embed(feats[-1]))

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return class scores ``(B, num_classes)`` of the training classes."""
        return self.context(self.pre_logits(feats)) / self.temperature

    def loss(
        self, feats: tuple[Tensor, ...], data_samples: list[DataSample], **kwargs
    ) -> dict[str, Tensor]:
        """Return ``loss_metric``, ``loss_cls`` and what the attention does.

        The latter is ``attention_mean`` and ``attention_low_share``: the share
        of all attention that goes to the tenth of samples with the lowest (0.1
        if all are attended alike).

        Raises:
            ValueError: If a label lies outside the context.
        """
        embeddings = self.pre_logits(feats)
        labels = torch.cat([sample.gt_label for sample in data_samples])
        labels = labels.to(embeddings.device)
        context = self.context.weight
        losses = dict(loss_metric=self.loss_module(embeddings, labels, context))
        scores = self.context(embeddings) / self.temperature
        losses["loss_cls"] = self.classification_loss(
            scores, labels, avg_factor=len(labels), **kwargs
        )
        if getattr(self.loss_module, "caa", False):
            with torch.no_grad():
                attention = self.loss_module.attention(embeddings, context, labels)
                count = max(1, len(attention) // 10)
                lowest = attention.topk(count, largest=False).values
                share = lowest.sum() / attention.sum().clamp(min=1e-12)
            losses["attention_mean"] = attention.mean()
            losses["attention_low_share"] = share
        if self.cal_acc:
            accuracy = (scores.argmax(dim=1) == labels).float().mean() * 100
            losses["accuracy_top-1"] = accuracy
        return losses
