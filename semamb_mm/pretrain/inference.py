"""Runs a trained retriever on a whole data set."""

from __future__ import annotations

import sys

import torch
from mmengine.dataset import pseudo_collate
from mmengine.logging import MMLogger
from mmengine.utils import track_iter_progress
from torch import Tensor
from torch.utils.data import DataLoader

from semamb_mm.functional import caa_scores


@torch.no_grad()
def embed_dataset(model, dataset, batch_size: int = 128) -> Tensor:
    """Return embeddings ``(n, D)`` on the CPU, in the data set's order.

    Args:
        model: An ``EmbeddingRetriever``.
        dataset: With a test pipeline.
        batch_size: Images at a time.
    """
    MMLogger.get_current_instance().info(f"embedding {len(dataset)} images")
    loader = DataLoader(dataset, batch_size=batch_size, collate_fn=pseudo_collate)
    model.eval()
    parts = []
    for batch in track_iter_progress((iter(loader), len(loader)), file=sys.stderr):
        data = model.data_preprocessor(batch, False)
        parts += [sample.embedding.cpu() for sample in model(**data, mode="predict")]
    return torch.stack(parts)


@torch.no_grad()
def read_attention(model, embeddings: Tensor, labels: Tensor) -> Tensor:
    """Return the class-aware attention ``(n,)`` of training images to their labels.

    Args:
        model: With an ``OSMCAAHead``.
        embeddings: ``(n, D)`` of :func:`embed_dataset`.
        labels: ``(n,)``.
    """
    context = model.head.context.weight.cpu()
    return caa_scores(embeddings, context, labels, temperature=model.head.temperature)
