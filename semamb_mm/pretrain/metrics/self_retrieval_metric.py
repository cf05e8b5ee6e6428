"""Retrieval of a test set against itself, as a metric of MMPretrain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpretrain.registry import METRICS

from semamb_mm.metric_learning import (
    AVERAGE_PRECISIONS,
    clustering_nmi,
    retrieval_scores,
)

ITEMS = ("recall", "mAP", "r_precision", "map_at_r", "nmi")


@METRICS.register_module()
class SelfRetrievalMetric(BaseMetric):
    """Retrieval of the test set against itself, the query left out.

    The protocol of zero-shot retrieval (CUB-200-2011, CARS196): every image
    is a query, all others are the gallery, ranked by the distance of the
    L2-normalised embeddings. Reads ``embedding`` ``(D,)`` and ``gt_label`` of
    the data samples; everything in percent.

    Example:
        ```python
        val_evaluator = dict(
            _delete_=True, type='SelfRetrievalMetric', topk=(1, 2, 4, 8))
        test_evaluator = val_evaluator
        ```

    Args:
        topk (int | sequence of int): The K of ``Recall@K``.
        items (sequence of str): Of ``recall``, ``mAP`` (over the whole
            ranking), ``r_precision``, ``map_at_r`` (the mean average precision
            within the first R, R being the class's other images) and
            ``nmi`` (of k-means clusters, as many as classes; needs
            scikit-learn). Defaults to all but ``nmi``.
        block_size (int): Most queries ranked at a time. Defaults to 1024.
        average_precision (str): ``step`` or ``trapezoid``, see
            :func:`semamb_mm.metric_learning.tracklet_scores`. Defaults to
            ``step``.
        device (str, optional): Where the ranks are counted, such as ``cuda``.
            Defaults to the processor.

    Raises:
        ValueError: On an unknown item or a K that is not positive; while
            evaluating, on an embedding that is zero or not finite.
    """

    default_prefix = "retrieval"

    def __init__(
        self,
        topk: int | Sequence[int] = (1, 2, 4, 8),
        items: Sequence[str] = ITEMS[:4],
        block_size: int = 1024,
        average_precision: str = "step",
        device: str | None = None,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = checked_topk(topk, "SelfRetrievalMetric")
        if unknown := set(items) - set(ITEMS):
            raise ValueError(
                f"SelfRetrievalMetric: items are of {ITEMS}, not {sorted(unknown)}"
            )
        self.items = tuple(items)
        self.block_size = block_size
        self.average_precision = checked_average_precision(
            average_precision, "SelfRetrievalMetric"
        )
        self.device = device

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect embeddings and labels."""
        for sample in data_samples:
            embedding = checked_embedding(sample)
            self.results.append((embedding, int(sample["gt_label"])))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Return the scores of the whole set."""
        embeddings = torch.from_numpy(np.stack([r[0] for r in results]))
        labels = torch.tensor([label for _, label in results])
        scores = retrieval_scores(
            embeddings,
            labels,
            self.topk,
            self.block_size,
            "mAP" in self.items,
            self.average_precision,
            self.device,
        )
        lonely = scores.pop("queries_without_match")
        if lonely:
            print_log(
                f"SelfRetrievalMetric: {lonely} of {len(labels)} images are the only "
                "ones of their class; they are no queries",
                logger="current",
                level=30,
            )
        keep = {f"Recall@{k}": "recall" for k in self.topk}
        keep |= {"mAP": "mAP", "RP": "r_precision", "MAP@R": "map_at_r"}
        scores = {k: v for k, v in scores.items() if keep[k] in self.items}
        if "nmi" in self.items:
            scores["NMI"] = clustering_nmi(embeddings, labels)
        return scores


def checked_topk(topk: int | Sequence[int], metric: str) -> tuple[int, ...]:
    """Return the ranks as a tuple.

    Raises:
        ValueError: If there is none or one is not positive; names the metric.
    """
    ranks = (topk,) if isinstance(topk, int) else tuple(topk)
    if not ranks or min(ranks) < 1:
        raise ValueError(f"{metric}: topk must be positive, got {topk}")
    return ranks


def checked_average_precision(kind: str, metric: str) -> str:
    """Return the kind of average precision.

    Raises:
        ValueError: If it is unknown; names the metric.
    """
    if kind not in AVERAGE_PRECISIONS:
        raise ValueError(
            f"{metric}: average_precision is one of {AVERAGE_PRECISIONS}, not {kind!r}"
        )
    return kind


def checked_embedding(sample: dict) -> np.ndarray:
    """Return the data sample's embedding as float32 ``(D,)``.

    Raises:
        ValueError: If it is missing, zero or not finite; names the image.
    """
    image = sample.get("img_path", "a sample")
    if "embedding" not in sample:
        raise ValueError(
            f"{image} has no 'embedding': the model must be an EmbeddingRetriever"
        )
    embedding = sample["embedding"].detach().float().cpu().numpy()
    if not np.isfinite(embedding).all() or not embedding.any():
        raise ValueError(f"the embedding of {image} is zero or not finite")
    return embedding
