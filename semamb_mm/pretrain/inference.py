"""Runs a trained retriever on a whole data set."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.utils import track_iter_progress
from torch import Tensor
from torch.utils.data import DataLoader


@torch.no_grad()
def embed_dataset(model, dataset, batch_size: int = 128) -> Tensor:
    """Return embeddings ``(n, D)`` on the CPU, in the data set's order.

    Args:
        model: An ``EmbeddingRetriever``.
        dataset: With a test pipeline.
        batch_size: Images at a time.
    """
    parts: list[Tensor] = []
    for data in _batches(model, dataset, batch_size):
        parts += [sample.embedding.cpu() for sample in model(**data, mode="predict")]
    return torch.stack(parts)


@torch.no_grad()
def classify_dataset(
    model, dataset, batch_size: int = 128
) -> tuple[np.ndarray, np.ndarray]:
    """Return normalised embeddings ``(n, D)`` and class scores ``(n, C)``.

    Args:
        model: An ``EmbeddingRetriever`` or MMPretrain's ``ImageClassifier``. Its head
            gives the scores of the training classes when it is called.
        dataset: With a test pipeline.
        batch_size: Images at a time.
    """
    encode = getattr(model, "encode", model.extract_feat)
    embeddings, scores = [], []
    for data in _batches(model, dataset, batch_size):
        features = encode(data["inputs"])
        embeddings.append(F.normalize(model.head.pre_logits(features)).cpu())
        scores.append(model.head(features).cpu())
    return torch.cat(embeddings).float().numpy(), torch.cat(scores).float().numpy()


def _batches(model, dataset, batch_size: int) -> Iterator[dict]:
    """Yield what the model takes, with progress."""
    MMLogger.get_current_instance().info(f"embedding {len(dataset)} images")
    loader = DataLoader(dataset, batch_size=batch_size, collate_fn=pseudo_collate)
    model.eval()
    for batch in track_iter_progress((iter(loader), len(loader)), file=sys.stderr):
        yield model.data_preprocessor(batch, False)
