"""The image retriever whose predictions carry the embedding."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmpretrain.models import ImageToImageRetriever
from mmpretrain.registry import MODELS
from mmpretrain.structures import DataSample
from torch import Tensor


@MODELS.register_module()
class EmbeddingRetriever(ImageToImageRetriever):
    """Image retriever whose predictions carry the embedding.

    Zero-shot retrieval and re-identification compare the test images among
    themselves, so there is no gallery to match against while predicting:
    metrics such as ``SelfRetrievalMetric`` collect ``data_sample.embedding``.
    With a ``prototype`` it matches against that one too, as the stock
    retriever does; MMPretrain's ``ImageRetrievalInferencer`` gives it one.

    Example:
        ```python
        # In place of ImageToImageRetriever.
        model = dict(type='EmbeddingRetriever', prototype=None)
        custom_hooks = []  # without PrepareProtoBeforeValLoopHook
        val_evaluator = dict(_delete_=True, type='SelfRetrievalMetric')
        test_evaluator = val_evaluator
        ```

    Args:
        image_encoder (dict | list[dict]): Backbone, or backbone and neck.
        head (dict): With ``loss`` and ``pre_logits``, which gives the
            embedding, as ``OSMCAAHead`` or MMPretrain's ``ArcFaceClsHead``.
        prototype: The stock retriever's; none by default.
        **kwargs: The rest of ``ImageToImageRetriever``'s.

    Raises:
        ValueError: If the head has no ``pre_logits``.
    """

    def __init__(self, image_encoder, head: dict, prototype=None, **kwargs) -> None:
        self.matches = prototype is not None
        super().__init__(
            image_encoder=image_encoder,
            head=head,
            prototype=prototype if self.matches else torch.empty(0),
            **kwargs,
        )
        if not hasattr(self.head, "pre_logits"):
            raise ValueError(
                f"EmbeddingRetriever needs a head with pre_logits(), "
                f"{type(self.head).__name__} has none"
            )

    def encode(self, inputs: Tensor) -> tuple[Tensor, ...]:
        """Return what the encoder gives to the head."""
        features = self.image_encoder(inputs)
        return features if isinstance(features, tuple) else (features,)

    def extract_feat(self, inputs: Tensor) -> Tensor:
        """Return L2-normalised embeddings ``(B, D)`` of images ``(B, C, H, W)``."""
        return F.normalize(self.head.pre_logits(self.encode(inputs)))

    def loss(self, inputs: Tensor, data_samples: list[DataSample]) -> dict:
        """Return the head's losses."""
        return self.head.loss(self.encode(inputs), data_samples)

    def predict(
        self, inputs: Tensor, data_samples: list[DataSample] | None = None, **kwargs
    ) -> list[DataSample]:
        """Return data samples with ``embedding`` ``(D,)``, and the match if any."""
        embeddings = self.extract_feat(inputs)
        if self.matches and not self.prototype_inited:
            self.prepare_prototype()
        if self.prototype_inited:
            data_samples = self._get_predictions(
                self.matching(embeddings), data_samples
            )
        elif data_samples is None:
            data_samples = [DataSample() for _ in embeddings]
        for sample, embedding in zip(data_samples, embeddings, strict=True):
            sample.set_field(embedding, "embedding")
        return data_samples
