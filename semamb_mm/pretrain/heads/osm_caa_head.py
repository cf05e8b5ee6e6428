"""The head that trains an embedding by OSM/CAA and cross-entropy together."""

from __future__ import annotations

import logging

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmpretrain.models.heads import ClsHead
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor, nn

from semamb_mm.functional import gaussian_weights

CLASSIFIERS = ("context", "features")
# Whether batches hold pairs is seen in the first ones.
_BATCHES_LOOKED_AT = 3


@MODELS.register_module()
class OSMCAAHead(ClsHead):
    """Embedding head trained by OSM/CAA and cross-entropy together.

    The embedding is L2-normalised. The head holds the class context, a
    classification layer without bias: cross-entropy over
    ``f . c_k / temperature`` trains it, class-aware attention reads it
    (Wang et al., AAAI 2019). The metric loss sees the same embedding. The authors'
    own code had another classifier, on the features as they are
    (``classifier='features'``), and weighted its cross-entropy
    (``classification_weights``).

    Example:
        ```python
        model = dict(
            type='EmbeddingRetriever',
            head=dict(
                _delete_=True, type='OSMCAAHead', num_classes=3997, in_channels=2048,
                embedding_channels=512,
                loss=dict(type='OSMCAALoss', osm=True, caa=True)))
        ```

    Args:
        num_classes (int): Training classes, the rows of the context.
        in_channels (int): Channels of the backbone's feature.
        embedding_channels (int, optional): Size of the embedding, made by a
            linear layer; ``in_channels`` without one if left out.
        loss (dict): The metric loss, :class:`OSMCAALoss` or any module with
            its ``forward``, such as :class:`PytorchMetricLearningLoss`. Defaults
            to ``dict(type='OSMCAALoss')``.
        temperature (float, optional): Of the class scores; the metric loss's
            own if left out, or 1.
        classification_loss (dict): Defaults to MMPretrain's cross-entropy.
        classifier (str): ``'context'``, a layer without bias on the normalised
            embedding, or ``'features'``, a layer with bias on ``feats[-1]``, whose
            scores are not divided by a temperature. Defaults to ``'context'``.
        classification_weights (dict, optional): ``mean`` and ``sigma`` of
            :func:`semamb_mm.functional.gaussian_weights`. The samples'
            cross-entropies are averaged by these weights of their own class's
            probability, without a gradient; the authors' are 0.5 and 0.18.
        **kwargs: The rest of :class:`mmpretrain.models.ClsHead`'s.

    Raises:
        ValueError: If a size is not positive; while training, if the features are not
            pooled or have other channels, or a label lies outside the classes.
    """

    def __init__(
        self,
        num_classes: int,
        in_channels: int,
        embedding_channels: int | None = None,
        loss: dict = dict(type="OSMCAALoss"),
        temperature: float | None = None,
        classification_loss: dict = dict(type="CrossEntropyLoss", loss_weight=1.0),
        classifier: str = "context",
        classification_weights: dict | None = None,
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
        if classifier not in CLASSIFIERS:
            raise ValueError(
                f"OSMCAAHead: classifier is one of {CLASSIFIERS}, not {classifier!r}"
            )
        if classification_weights is not None:
            gaussian_weights(torch.zeros(1), **classification_weights)
        self.num_classes = num_classes
        self.in_channels = in_channels
        self.classifier = classifier
        self.classification_weights = classification_weights
        width = embedding_channels or in_channels
        self.embed = (
            nn.Linear(in_channels, width) if embedding_channels else nn.Identity()
        )
        on_features = classifier == "features"
        self.context = nn.Linear(
            in_channels if on_features else width, num_classes, bias=on_features
        )
        self.classification_loss = MODELS.build(classification_loss)
        if on_features:
            if temperature not in (None, 1):
                raise ValueError(
                    "OSMCAAHead: the scores of classifier='features' have no "
                    f"temperature, got {temperature}"
                )
            temperature = 1.0
        elif temperature is None:
            temperature = getattr(self.loss_module, "temperature", 1.0)
        self.temperature = temperature
        self._looked_at = 0

    def pre_logits(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return the L2-normalised embedding ``(B, D)``."""
        return F.normalize(self.embed(self._pooled(feats)))

    def _pooled(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return the features ``(B, in_channels)`` that everything is computed from.

        Raises:
            ValueError: If they have another shape.
        """
        features = feats[-1]
        if features.ndim == 2 and features.shape[1] == self.in_channels:
            return features
        shape = tuple(features.shape)
        mend = "set in_channels to the channels of what comes before the head"
        if features.ndim > 2:
            mend = (
                "pool them: a neck, such as dict(type='GlobalAveragePooling'), belongs "
                "between backbone and head (last in image_encoder's list, or as neck)"
            )
        raise ValueError(
            f"OSMCAAHead(in_channels={self.in_channels}): expected features of shape "
            f"(B, {self.in_channels}), got {shape}; {mend}"
        )

    def forward(self, feats: tuple[Tensor, ...]) -> Tensor:
        """Return class scores ``(B, num_classes)`` of the training classes."""
        features = (
            self._pooled(feats)
            if self.classifier == "features"
            else self.pre_logits(feats)
        )
        return self.scores(features)

    def scores(self, features: Tensor) -> Tensor:
        """Return class scores of what the classifier reads."""
        return self.context(features) / self.temperature

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
        self._check_labels(labels)
        on_features = self.classifier == "features"
        scores = self.scores(feats[-1] if on_features else embeddings)
        own = scores.float().softmax(dim=1).gather(1, labels[:, None])[:, 0]
        attends = getattr(self.loss_module, "caa", False)
        losses = {}
        if attends:
            probabilities = own
            if not on_features:  # by the metric loss's own temperature
                probabilities = self.loss_module.probabilities(
                    embeddings, self.context.weight, labels
                )
            losses["loss_metric"] = self.loss_module(
                embeddings, labels, probabilities=probabilities
            )
        else:
            losses["loss_metric"] = self.loss_module(
                embeddings, labels, self.context.weight
            )
        losses["loss_cls"] = self._classification_loss(scores, labels, own, kwargs)
        if attends:
            attention = self.loss_module.attention_of(probabilities.detach())
            count = max(1, len(attention) // 10)
            lowest = attention.topk(count, largest=False).values
            losses["attention_mean"] = attention.mean()
            losses["attention_low_share"] = lowest.sum() / attention.sum().clamp(
                min=1e-12
            )
        if self.cal_acc:
            accuracy = (scores.argmax(dim=1) == labels).float().mean() * 100
            losses["accuracy_top-1"] = accuracy
        return losses

    def _check_labels(self, labels: Tensor) -> None:
        """Refuse labels outside the classes; look for pairs in the first batches."""
        if not len(labels):
            return
        least, most = int(labels.min()), int(labels.max())
        if least < 0 or most >= self.num_classes:
            raise ValueError(
                f"OSMCAAHead(num_classes={self.num_classes}): labels must be in "
                f"[0, {self.num_classes}), got {least} to {most}. num_classes is the "
                "number of training classes"
            )
        if self._looked_at >= _BATCHES_LOOKED_AT:
            return
        self._looked_at += 1
        alone = int((labels.bincount() == 1).sum())
        if alone:
            self._looked_at = _BATCHES_LOOKED_AT
            print_log(
                f"OSMCAAHead: {alone} of {len(labels)} images of this batch are the "
                "only ones of their class, and so in no pair of one class. "
                "IdentityBalancedSampler draws K images of each class: give the "
                "dataloader batch_size = num_classes_per_batch * "
                "num_samples_per_class",
                logger="current",
                level=logging.WARNING,
            )

    def _classification_loss(
        self, scores: Tensor, labels: Tensor, own: Tensor, options: dict
    ) -> Tensor:
        """Return the classification loss, weighted if it is to be."""
        if self.classification_weights is None:
            return self.classification_loss(
                scores, labels, avg_factor=len(labels), **options
            )
        weights = gaussian_weights(own.detach(), **self.classification_weights)
        total = weights.sum().clamp(min=torch.finfo(weights.dtype).tiny)
        return self.classification_loss(
            scores, labels, weight=weights, avg_factor=total, **options
        )
