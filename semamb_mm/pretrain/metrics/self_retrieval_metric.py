from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpretrain.registry import METRICS
from torch import Tensor

try:
    import faiss
except ImportError:
    faiss = None

ITEMS = ("recall", "mAP", "r_precision", "nmi")


@METRICS.register_module()
class SelfRetrievalMetric(BaseMetric):
    """Retrieval of the test set against itself, the query left out.

    The protocol of zero-shot retrieval (CUB-200-2011, CARS196): every image
    is a query, all others are the gallery, ranked by the distance of the
    L2-normalised embeddings. Reads ``embedding`` ``(D,)`` and ``gt_label`` of
    the data samples; everything in percent.

    Args:
        topk (int | sequence of int): The K of ``Recall@K``.
        items (sequence of str): Of ``recall``, ``mAP`` (over the whole
            ranking, which is not made without it), ``r_precision`` and
            ``nmi`` (of k-means clusters, as many as classes; needs
            scikit-learn). Defaults to all but ``nmi``.
        block_size (int): Queries ranked at a time. Defaults to 1024.

    Raises:
        ValueError: On an unknown item or a K that is not positive; while
            evaluating, on an embedding that is zero or not finite.
    """

    default_prefix = "retrieval"

    def __init__(
        self,
        topk: int | Sequence[int] = (1, 2, 4, 8),
        items: Sequence[str] = ITEMS[:3],
        block_size: int = 1024,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = (topk,) if isinstance(topk, int) else tuple(topk)
        if not self.topk or min(self.topk) < 1:
            raise ValueError(f"SelfRetrievalMetric: topk must be positive, got {topk}")
        if unknown := set(items) - set(ITEMS):
            raise ValueError(
                f"SelfRetrievalMetric: items are of {ITEMS}, not {sorted(unknown)}"
            )
        self.items = tuple(items)
        self.block_size = block_size

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect embeddings and labels."""
        for sample in data_samples:
            embedding = checked_embedding(sample)
            self.results.append((embedding, int(sample["gt_label"])))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The scores of the whole set."""
        embeddings = torch.from_numpy(np.stack([r[0] for r in results]))
        labels = torch.tensor([label for _, label in results])
        scores = retrieval_scores(
            embeddings, labels, self.topk, self.block_size, "mAP" in self.items
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
        keep |= {"mAP": "mAP", "RP": "r_precision"}
        scores = {k: v for k, v in scores.items() if keep[k] in self.items}
        if "nmi" in self.items:
            scores["NMI"] = clustering_nmi(embeddings, labels)
        return scores


def checked_embedding(sample: dict) -> np.ndarray:
    """The data sample's embedding as float32 ``(D,)``.

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


def rankings(
    embeddings: Tensor, neighbours: int | None = None, block_size: int = 1024
) -> Iterator[tuple[Tensor, Tensor]]:
    """Queries ``(b,)`` and their nearest ``(b, neighbours)``, nearest first.

    The query itself is left out. Exact; by faiss where it is installed and
    not the whole ranking is asked for.

    Args:
        embeddings: ``(n, D)``; normalised here.
        neighbours: All others if left out.
        block_size: Queries at a time.
    """
    embeddings = F.normalize(embeddings.float())
    others = len(embeddings) - 1
    neighbours = others if neighbours is None else min(neighbours, others)
    search = by_faiss if faiss and neighbours < others else by_torch
    for queries, order in search(embeddings, neighbours + 1, block_size):
        # The query goes to the end, where it is cut off; so does the last one
        # where duplicates have pushed the query out.
        itself = order == queries[:, None]
        order = order.gather(1, itself.int().argsort(dim=1, stable=True))
        yield queries, order[:, :neighbours]


def by_torch(embeddings, count, block_size):
    for queries in torch.arange(len(embeddings)).split(block_size):
        similarity = embeddings[queries] @ embeddings.T
        if count < len(embeddings):
            yield queries, similarity.topk(count, dim=1).indices
        else:
            yield queries, similarity.argsort(dim=1, descending=True, stable=True)


def by_faiss(embeddings, count, block_size):
    points = np.ascontiguousarray(embeddings.numpy())
    index = faiss.IndexFlatIP(points.shape[1])
    index.add(points)
    for queries in torch.arange(len(points)).split(block_size):
        yield queries, torch.from_numpy(index.search(points[queries], count)[1])


def retrieval_scores(
    embeddings: Tensor,
    labels: Tensor,
    topk: Sequence[int],
    block_size: int = 1024,
    mean_average_precision: bool = True,
) -> dict[str, float]:
    """``Recall@K``, ``mAP`` and R-precision (``RP``) in percent.

    Exact, in blocks of queries: no ``(n, n)`` matrix is held.

    Args:
        embeddings: ``(n, D)``.
        labels: ``(n,)``. A query whose class has no other member is left out
            and counted in ``queries_without_match``.
        topk: The K; one beyond ``n - 1`` looks at the whole gallery.
        block_size: Queries at a time.
        mean_average_precision: It needs the whole ranking of every query;
            without it the nearest neighbours do.

    Raises:
        ValueError: If no class has two members.
    """
    relevant_counts = torch.bincount(labels)[labels] - 1
    if not (relevant_counts > 0).any():
        raise ValueError(
            f"retrieval needs a class with two images; {len(labels)} images are all "
            "of different classes"
        )
    recall = {k: [] for k in topk}
    average_precision, r_precision = [], []
    depth = None
    if not mean_average_precision:
        depth = max(*topk, int(relevant_counts.max()))
    for queries, order in rankings(embeddings, depth, block_size):
        has_match = relevant_counts[queries] > 0
        queries, order = queries[has_match], order[has_match]
        relevant = labels[order] == labels[queries, None]
        count = relevant_counts[queries]
        rank = torch.arange(1, relevant.shape[1] + 1)
        for k in topk:
            recall[k].append(relevant[:, :k].any(dim=1))
        if mean_average_precision:
            precision = relevant.cumsum(dim=1) / rank
            average_precision.append((precision * relevant).sum(dim=1) / count)
        within = rank <= count[:, None]
        r_precision.append((relevant & within).sum(dim=1) / count)

    def percent(parts):
        return 100 * torch.cat(parts).double().mean().item()

    scores = {f"Recall@{k}": percent(parts) for k, parts in recall.items()}
    if mean_average_precision:
        scores["mAP"] = percent(average_precision)
    scores["RP"] = percent(r_precision)
    scores["queries_without_match"] = int((relevant_counts == 0).sum())
    return scores


def clustering_nmi(embeddings: Tensor, labels: Tensor, seed: int = 0) -> float:
    """Normalised mutual information of k-means clusters and classes, percent."""
    try:
        from sklearn.cluster import KMeans
        from sklearn.metrics import normalized_mutual_info_score
    except ImportError as error:
        raise ImportError(
            "the NMI needs scikit-learn: pip install scikit-learn, or leave 'nmi' out "
            "of the items"
        ) from error
    clusters = KMeans(len(labels.unique()), n_init=1, random_state=seed).fit_predict(
        F.normalize(embeddings.float()).numpy()
    )
    return 100 * float(normalized_mutual_info_score(labels.numpy(), clusters))
