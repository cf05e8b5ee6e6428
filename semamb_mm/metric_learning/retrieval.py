"""Scores of retrieval: Recall@K, mAP, MAP@R, NMI; CMC and mAP of tracklets.

Embeddings and labels in, percent out. Zero-shot retrieval searches a set in
itself (:func:`retrieval_scores`); re-identification searches pooled tracklets
(:func:`pool_tracklets`, :func:`tracklet_scores`).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

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
    block_size: int = 512,
    mean_average_precision: bool = True,
    average_precision: str = "step",
    device: torch.device | str | None = None,
) -> dict[str, float]:
    """Return ``Recall@K``, ``mAP``, R-precision (``RP``) and ``MAP@R`` in percent.

    Exact but for float32's rounding, in blocks: no ``(n, n)`` matrix is held.
    Nothing is sorted but the ranks of each query's own class, which are counted.
    Where images of another class are as near as one of the query's, they come
    first: an embedding that has collapsed to a point finds nothing.

    Args:
        embeddings: ``(n, D)``.
        labels: ``(n,)``. A query whose class has no other member is left out
            and counted in ``queries_without_match``.
        topk: The K; one beyond ``n - 1`` looks at the whole gallery.
        block_size: Queries at a time; fewer where classes are large.
        mean_average_precision: Whether ``mAP`` is among the scores.
        average_precision: One of :data:`AVERAGE_PRECISIONS`; see
            :func:`tracklet_scores`.
        device: Where to compute; the embeddings' own if left out.

    Raises:
        ValueError: If no class has two members, or ``average_precision`` is
            unknown.

    Example:
        >>> embeddings = torch.tensor([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
        >>> scores = retrieval_scores(embeddings, torch.tensor([0, 0, 1, 0]), (1,))
        >>> round(scores["Recall@1"], 1), scores["queries_without_match"]
        (66.7, 1)
    """
    _check_average_precision(average_precision)
    relevant_counts = torch.bincount(labels)[labels] - 1
    if not (relevant_counts > 0).any():
        raise ValueError(
            f"retrieval needs a class with two images; {len(labels)} images are all "
            "of different classes"
        )
    per_query: dict[str, list[Tensor]] = {f"Recall@{k}": [] for k in topk}
    per_query |= {"mAP": []} if mean_average_precision else {}
    per_query |= {"RP": [], "MAP@R": []}
    points = F.normalize(embeddings.to(device, torch.float32))
    for counted in relevant_ranks(points, labels.to(points.device), block_size):
        ranks = counted.cpu().double()
        count = torch.isfinite(ranks).sum(dim=1)
        precision = torch.arange(1, ranks.shape[1] + 1).to(ranks) / ranks
        within = ranks <= count[:, None]
        for k in topk:
            per_query[f"Recall@{k}"].append(ranks[:, 0] <= k)
        if mean_average_precision:
            per_query["mAP"].append(_average_precision(ranks, average_precision))
        per_query["RP"].append(within.sum(dim=1) / count)
        per_query["MAP@R"].append((precision * within).sum(dim=1) / count)
    scores: dict[str, float] = {
        name: 100 * torch.cat(parts).double().mean().item()
        for name, parts in per_query.items()
    }
    scores["queries_without_match"] = int((relevant_counts == 0).sum())
    return scores


def relevant_ranks(
    points: Tensor, labels: Tensor, block_size: int = 512
) -> Iterator[Tensor]:
    """Yield at which ranks queries find the other members of their class.

    Args:
        points: ``(n, D)`` normalised embeddings.
        labels: ``(n,)``. Queries come in the order of their classes' sizes;
            those alone in their class are left out.
        block_size: Queries at a time; fewer where classes are large.

    Yields:
        ``(b, P)`` float32, ascending, from 1 on; infinite beyond a class's size.
    """
    gallery = _Gallery.by_size_of_class(points, labels)
    queries, alone = gallery.blocks(block_size)
    blocks = [*queries, *alone]
    # Similarities are symmetric. Each is computed once, unless there are too many
    # counts to hold until the other's turn.
    once = sum(size**2 for size in gallery.sizes.tolist()) <= _CELLS
    near: dict[int, Tensor] = {}
    ahead: dict[int, Tensor] = {}
    for i, query in enumerate(queries):
        for j in range(i if once else 0, len(blocks)):
            for k in {i, j} if once else {i}:
                if k not in near:
                    near[k] = gallery.own_class(blocks[k])
                    ahead[k] = torch.zeros_like(near[k])
            similarity = gallery.other_classes(query, blocks[j])
            ahead[i] += _as_near(similarity, near[i])
            if once and j > i:
                ahead[j] += _as_near(similarity.T, near[j])
        counts, own = ahead.pop(i), near.pop(i)
        counts += torch.arange(1, own.shape[1] + 1, device=own.device)
        yield counts.masked_fill(own == -torch.inf, torch.inf)


# Similarities that are held at once (64 MiB).
_CELLS = 2**24
# Thresholds for which counting is faster than sorting the whole row.
_COUNTED = 96
# By which similarities in float32 may differ that are equal.
_ROUNDING = 5e-7


@dataclass(frozen=True)
class _Gallery:
    """Points in the order of their classes' sizes, classes of one point last.

    Attributes:
        points: ``(n, D)`` normalised.
        labels: ``(n,)`` ascending.
        sizes: ``(C,)`` points of each class.
    """

    points: Tensor
    labels: Tensor
    sizes: Tensor

    @classmethod
    def by_size_of_class(cls, points: Tensor, labels: Tensor) -> _Gallery:
        sizes = torch.bincount(labels)
        by_size = torch.where(sizes == 1, len(labels) + 1, sizes).argsort(stable=True)
        labels, order = by_size.argsort()[labels].sort(stable=True)
        return cls(points[order], labels, sizes[by_size])

    def blocks(self, most: int) -> tuple[list[slice], list[slice]]:
        """Divide the points that have others of their class, and those that have not.

        Args:
            most: Points of a block.
        """
        rows = max(1, min(most, _CELLS // int(self.sizes.max())))
        count = len(self.points) - int((self.sizes == 1).sum())

        def divided(start: int, stop: int) -> list[slice]:
            return [slice(at, min(at + rows, stop)) for at in range(start, stop, rows)]

        return divided(0, count), divided(count, len(self.points))

    def own_class(self, block: slice) -> Tensor:
        """Return similarities to the others of one's class ``(b, P)``, nearest first.

        Less their rounding; -inf beyond a class's size.
        """
        labels, ends = self.labels[block], self.sizes.cumsum(0)
        first, last = int(labels[0]), int(labels[-1])
        start = int(ends[first] - self.sizes[first])
        span = slice(start, int(ends[last]))
        similarity = self.points[block] @ self.points[span].T
        other = labels[:, None] != self.labels[span]
        other.diagonal(block.start - start).fill_(True)  # the query itself
        similarity.masked_fill_(other, -torch.inf)
        most = int(self.sizes[first : last + 1].max()) - 1
        return similarity.topk(most, dim=1).values - _ROUNDING

    def other_classes(self, block: slice, columns: slice) -> Tensor:
        """Return similarities ``(b, c)``, -inf within a class."""
        similarity = self.points[block] @ self.points[columns].T
        # Classes are divided between neighbouring blocks at most.
        same = self.labels[block][:, None] == self.labels[columns]
        return similarity.masked_fill_(same, -torch.inf)


def _as_near(similarity: Tensor, thresholds: Tensor) -> Tensor:
    """Return how many of a row are at least each threshold: float32 ``(b, P)``."""
    count, width = thresholds.shape[1], similarity.shape[1]
    if count > _COUNTED and count < width:
        ascending = similarity.contiguous().sort(dim=1).values
        return width - torch.searchsorted(ascending, thresholds).to(similarity)
    reached, counts = torch.empty_like(similarity), torch.empty_like(thresholds)
    for column in range(count):
        # A float32 sum of ones is exact up to 2^24, and three times as fast.
        torch.ge(similarity, thresholds[:, column, None], out=reached)
        counts[:, column] = reached.sum(dim=1)
    return counts


# How the area under a query's precision-recall curve is taken.
AVERAGE_PRECISIONS = ("step", "trapezoid")


def _check_average_precision(kind: str) -> None:
    if kind not in AVERAGE_PRECISIONS:
        raise ValueError(
            f"average_precision must be one of {AVERAGE_PRECISIONS}, got {kind!r}"
        )


def _average_precision(ranks: Tensor, kind: str) -> Tensor:
    """Return each query's average precision ``(b,)`` from its ``ranks (b, P)``."""
    found = torch.isfinite(ranks)
    hits = torch.arange(1, ranks.shape[1] + 1).to(ranks)
    precision = hits / ranks
    if kind == "trapezoid":
        before = torch.where(ranks > 1, (hits - 1) / (ranks - 1), 1)
        precision = (precision + before) / 2
    return precision.masked_fill(~found, 0).sum(dim=1) / found.sum(dim=1)


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
    average_precision: str = "step",
) -> dict[str, float]:
    """Return ``CMC-k`` and ``mAP`` in percent.

    For each query the gallery's tracklets of the same person and the same
    camera are junk and left out (Zheng et al., "MARS", ECCV 2016). A query
    without a match is left out and counted in ``queries_without_match``.

    A query's average precision is the mean of the precisions at its matches
    (``'step'``), or, as the evaluation that came with MARS and Market-1501 has it,
    the area under the curve drawn straight from one point to the next, from
    precision 1 at recall 0 on (``'trapezoid'``). The former is larger: compare
    figures of one kind only.

    Args:
        distances: ``(q, g)``.
        query_persons: ``(q,)``.
        query_cameras: ``(q,)``.
        gallery_persons: ``(g,)``; a person <= 0 is a distractor and matches
            nobody.
        gallery_cameras: ``(g,)``.
        topk: Ranks of the CMC.
        average_precision: One of :data:`AVERAGE_PRECISIONS`.

    Raises:
        ValueError: If no query has a match, or ``average_precision`` is unknown.
    """
    _check_average_precision(average_precision)
    first_ranks, precisions = [], []
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
        row_of_ranks = torch.from_numpy(ranks[None].astype(np.float64))
        precisions.append(_average_precision(row_of_ranks, average_precision).item())
    if not first_ranks:
        raise ValueError(
            f"none of {len(distances)} queries has a match under another camera"
        )
    first = np.array(first_ranks)
    scores = {f"CMC-{k}": 100 * float((first <= k).mean()) for k in topk}
    scores["mAP"] = 100 * float(np.mean(precisions))
    scores["queries_without_match"] = len(distances) - len(first)
    return scores
