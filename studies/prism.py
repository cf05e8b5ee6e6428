"""PRISM, a rival of OSM/CAA that was made for wrong labels.

Liu et al., "Noise-resistant Deep Metric Learning with Ranking-based Instance
Selection", CVPR 2021 (arXiv 2103.16047), with the contrastive loss over a memory of
embeddings (cross-batch memory, Wang et al., CVPR 2020). Written from the formulas.
"""

from __future__ import annotations

from collections import deque

import torch
import torch.nn.functional as F
from mmpretrain.registry import MODELS
from torch import Tensor, nn


def clean_probabilities(
    embeddings: Tensor, labels: Tensor, memory: Tensor, memory_labels: Tensor
) -> Tensor:
    """Return how probable it is that each label is right.

    ``p_i = exp(f_i . c_y) / sum_k exp(f_i . c_k)``, where the centre ``c_k`` is the
    mean of class ``k`` in the memory, and is not normalised. A sample whose class is
    not in the memory gets 1.

    Args:
        embeddings: ``(m, D)`` of length 1.
        labels: ``(m,)`` integers.
        memory: ``(n, D)``, earlier embeddings that were taken for right.
        memory_labels: ``(n,)``.
    """
    probabilities = torch.ones(len(embeddings)).to(embeddings)
    classes, place = memory_labels.unique(return_inverse=True)
    if not len(classes):
        return probabilities
    counts = place.bincount(minlength=len(classes))
    centres = torch.zeros(len(classes), memory.shape[1]).to(memory)
    centres = centres.index_add(0, place, memory) / counts[:, None]
    scores = (embeddings @ centres.t()).softmax(dim=1)
    sample, column = (labels[:, None] == classes).nonzero(as_tuple=True)
    probabilities[sample] = scores[sample, column]
    return probabilities


def memory_contrastive(
    embeddings: Tensor,
    labels: Tensor,
    others: Tensor,
    other_labels: Tensor,
    margin: float,
) -> Tensor:
    """Return ``sum_i (sum_+ (1 - s_ij) + sum_- [s_ij > margin] s_ij)``.

    Args:
        embeddings: ``(m, D)`` of length 1.
        labels: ``(m,)``.
        others: ``(n, D)``; the embeddings themselves, where a sample's pair with
            itself does not count, or a memory.
        other_labels: ``(n,)``.
        margin: The cosine above which a pair of two classes counts.
    """
    similarity = embeddings @ others.t()
    same = labels[:, None] == other_labels
    far = ~same & (similarity > margin)
    if others is embeddings:
        same = same & ~torch.eye(len(labels), dtype=torch.bool, device=same.device)
    return (1 - similarity[same]).sum() + similarity[far].sum()


@MODELS.register_module()
class PRISMLoss(nn.Module):
    """The contrastive loss over a memory, of the samples whose labels seem right.

    The threshold of :func:`clean_probabilities` is the smooth top-R of the paper: the
    mean over the last batches of the probability at rank ``noise_rate`` from below.

    Args:
        embedding_channels (int): D.
        memory_size (int): How many embeddings are remembered; the paper takes about
            as many as the data set has images.
        noise_rate (float): R, the share that is left out; the paper gives the true
            share of wrong labels. 0 leaves out none.
        margin (float): Defaults to 0.5.
        window (int): Batches that the threshold is averaged over. Defaults to 30.
        warm_up (int): Batches from the start of which all is taken for right: for a
            network that was not pretrained. Defaults to 0.
        loss (dict, optional): A metric loss of a batch that takes the place of the
            contrastive loss over the memory: PRISM's selection for that loss.

    Raises:
        ValueError: If ``noise_rate`` lies outside [0, 1).
    """

    def __init__(
        self,
        embedding_channels: int,
        memory_size: int,
        noise_rate: float,
        margin: float = 0.5,
        window: int = 30,
        warm_up: int = 0,
        loss: dict | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= noise_rate < 1:
            raise ValueError(f"PRISMLoss: noise_rate lies in [0, 1), not {noise_rate}")
        self.noise_rate = noise_rate
        self.margin = margin
        self.loss = None if loss is None else MODELS.build(loss)
        self.memory_size = memory_size
        self.warm_up = warm_up
        self.batches = 0
        self.thresholds: deque[float] = deque(maxlen=window)
        self.register_buffer("memory", torch.zeros(0, embedding_channels))
        self.register_buffer("memory_labels", torch.zeros(0, dtype=torch.long))

    def forward(
        self, embeddings: Tensor, labels: Tensor, context: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch, and remember what seems right of it.

        Args:
            embeddings: ``(m, D)``, normalised here.
            labels: ``(m,)`` integers.
            context: Not used.
        """
        features = F.normalize(embeddings)
        with torch.no_grad():
            probabilities = clean_probabilities(
                features, labels, self.memory, self.memory_labels
            )
            keep = self.select(probabilities)
        if self.batches < self.warm_up:
            keep = torch.ones_like(keep)
        self.batches += 1
        kept = features[keep], labels[keep]
        if self.loss is not None:
            loss = self.loss(*kept)
        else:
            memory = self.memory, self.memory_labels
            loss = memory_contrastive(*kept, *kept, self.margin)
            loss = loss + memory_contrastive(*kept, *memory, self.margin)
            loss = loss / len(labels)
        size = self.memory_size
        self.memory = torch.cat((self.memory, kept[0].detach()))[-size:]
        self.memory_labels = torch.cat((self.memory_labels, kept[1]))[-size:]
        return loss

    def select(self, probabilities: Tensor) -> Tensor:
        """Return which samples are taken for right, ``(m,)`` bool.

        Those above the mean threshold; if there is none, all above this batch's own.
        """
        rank = int(self.noise_rate * len(probabilities))
        if not rank:
            return torch.ones_like(probabilities, dtype=torch.bool)
        own = float(probabilities.sort().values[rank - 1])
        if own < 1:  # else there are no centres yet
            self.thresholds.append(own)
        if not self.thresholds:
            return torch.ones_like(probabilities, dtype=torch.bool)
        keep = probabilities > sum(self.thresholds) / len(self.thresholds)
        return keep if keep.any() else probabilities > own
