"""Scores of retrieval: Recall@K, mAP, R-precision, NMI; CMC and mAP of tracklets.

Embeddings and labels in, percent out. Zero-shot retrieval searches a set in
itself (:func:`retrieval_scores`); re-identification searches pooled tracklets
(:func:`pool_tracklets`, :func:`tracklet_scores`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

try:
    import faiss
except ImportError:
    faiss = None


def rankings(
    embeddings: Tensor, neighbours: int | None = None, block_size: int = 1024
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield queries ``(b,)`` and their nearest ``(b, neighbours)``, nearest first.

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
    search = _by_faiss if faiss and neighbours < others else _by_torch
    for queries, order in search(embeddings, neighbours + 1, block_size):
        # The query goes to the end, where it is cut off; so does the last one
        # where duplicates have pushed the query out.
        itself = order == queries[:, None]
        order = order.gather(1, itself.int().argsort(dim=1, stable=True))
        yield queries, order[:, :neighbours]


def _by_torch(
    embeddings: Tensor, count: int, block_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
    for queries in torch.arange(len(embeddings)).split(block_size):
        similarity = embeddings[queries] @ embeddings.T
        if count < len(embeddings):
            yield queries, similarity.topk(count, dim=1).indices
        else:
            yield queries, similarity.argsort(dim=1, descending=True, stable=True)


def _by_faiss(
    embeddings: Tensor, count: int, block_size: int
) -> Iterator[tuple[Tensor, Tensor]]:
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
    """Return ``Recall@K``, ``mAP`` and R-precision (``RP``) in percent.

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

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> scores = retrieval_scores(embeddings, torch.tensor([0, 0, 1, 0]), (1,))
        >>> round(scores["Recall@1"], 1), scores["queries_without_match"]
        (66.7, 1)
    """
    relevant_counts = torch.bincount(labels)[labels] - 1
    if not (relevant_counts > 0).any():
        raise ValueError(
            f"retrieval needs a class with two images; {len(labels)} images are all "
            "of different classes"
        )
    depth = None
    if not mean_average_precision:
        depth = max(*topk, int(relevant_counts.max()))
    per_query: dict[str, list[Tensor]] = {f"Recall@{k}": [] for k in topk}
    per_query |= {"mAP": [], "RP": []} if mean_average_precision else {"RP": []}
    for queries, order in rankings(embeddings, depth, block_size):
        has_match = relevant_counts[queries] > 0
        queries, order = queries[has_match], order[has_match]
        relevant = labels[order] == labels[queries, None]
        count = relevant_counts[queries]
        rank = torch.arange(1, relevant.shape[1] + 1)
        for k in topk:
            per_query[f"Recall@{k}"].append(relevant[:, :k].any(dim=1))
        if mean_average_precision:
            precision = relevant.cumsum(dim=1) / rank
            per_query["mAP"].append((precision * relevant).sum(dim=1) / count)
        within = rank <= count[:, None]
        per_query["RP"].append((relevant & within).sum(dim=1) / count)
    scores: dict[str, float] = {
        name: 100 * torch.cat(parts).double().mean().item()
        for name, parts in per_query.items()
    }
    scores["queries_without_match"] = int((relevant_counts == 0).sum())
    return scores


def clustering_nmi(embeddings: Tensor, labels: Tensor, seed: int = 0) -> float:
    """Return the NMI of k-means clusters and classes in percent.

    NMI is the normalised mutual information. There are as many clusters as
    classes. It needs scikit-learn.

    Raises:
        ImportError: Without scikit-learn.
    """
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


def pool_tracklets(
    embeddings: np.ndarray,
    tracklets: Sequence[Hashable],
    persons: Sequence[int],
    cameras: Sequence[int],
    pooling: str = "mean",
) -> tuple[Tensor, np.ndarray, np.ndarray]:
    """Pool the images of each tracklet into one embedding.

    Args:
        embeddings: ``(n, D)``, one an image; normalised here.
        tracklets: ``(n,)``: which tracklet an image is of. Error messages
            print it.
        persons: ``(n,)``.
        cameras: ``(n,)``.
        pooling: ``mean`` or ``max`` of the normalised embeddings.

    Returns:
        Normalised embeddings ``(t, D)``, persons ``(t,)`` and cameras ``(t,)``
        of the tracklets, in the order in which they appear.

    Raises:
        ValueError: If images of one tracklet are of two persons or cameras.
    """
    members: dict[Hashable, list[int]] = {}
    owners: dict[Hashable, tuple[int, int]] = {}
    for index, tracklet in enumerate(tracklets):
        owner = (int(persons[index]), int(cameras[index]))
        if owners.setdefault(tracklet, owner) != owner:
            raise ValueError(
                f"{tracklet} belongs to person and camera {owners[tracklet]} and to "
                f"{owner}"
            )
        members.setdefault(tracklet, []).append(index)
    pooled = []
    for indices in members.values():
        images = F.normalize(torch.from_numpy(embeddings[indices]))
        pooled.append(images.mean(0) if pooling == "mean" else images.amax(0))
    whose = np.array(list(owners.values()))
    return F.normalize(torch.stack(pooled)), whose[:, 0], whose[:, 1]


def tracklet_scores(
    distances: np.ndarray,
    query_persons: np.ndarray,
    query_cameras: np.ndarray,
    gallery_persons: np.ndarray,
    gallery_cameras: np.ndarray,
    topk: Sequence[int],
) -> dict[str, float]:
    """Return ``CMC-k`` and ``mAP`` in percent.

    For each query the gallery's tracklets of the same person and the same
    camera are junk and left out (Zheng et al., "MARS", ECCV 2016). A query
    without a match is left out and counted in ``queries_without_match``.

    Args:
        distances: ``(q, g)``.
        query_persons: ``(q,)``.
        query_cameras: ``(q,)``.
        gallery_persons: ``(g,)``; a person <= 0 is a distractor and matches
            nobody.
        gallery_cameras: ``(g,)``.
        topk: Ranks of the CMC.

    Raises:
        ValueError: If no query has a match.
    """
    first_ranks, average_precision = [], []
    for row, person, camera in zip(
        distances, query_persons, query_cameras, strict=True
    ):
        same = gallery_persons == person
        keep = ~(same & (gallery_cameras == camera))
        order = np.argsort(row[keep], kind="stable")
        matches = (same & (gallery_persons > 0))[keep][order]
        ranks = np.flatnonzero(matches) + 1
        if len(ranks) == 0:
            continue
        first_ranks.append(ranks[0])
        average_precision.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    if not first_ranks:
        raise ValueError(
            f"none of {len(distances)} queries has a match under another camera"
        )
    first = np.array(first_ranks)
    scores = {f"CMC-{k}": 100 * float((first <= k).mean()) for k in topk}
    scores["mAP"] = 100 * float(np.mean(average_precision))
    scores["queries_without_match"] = len(distances) - len(first)
    return scores
