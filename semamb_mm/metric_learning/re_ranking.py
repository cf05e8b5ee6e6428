"""K-reciprocal re-ranking of a search's distances.

Zhong et al., "Re-ranking Person Re-identification with k-reciprocal Encoding",
CVPR 2017. SciPy does the sparse products.
"""

from __future__ import annotations

import numpy as np


def re_rank(
    query: np.ndarray,
    gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
) -> np.ndarray:
    """Return the distances after k-reciprocal re-ranking.

    Zhong et al., CVPR 2017: eq. 3 to 5 (the expanded reciprocal set), 7
    (Gaussian weights), 10 (Jaccard distance), 11 (local query expansion) and
    12 (the blend). As in the authors' code, the distance is the squared
    Euclidean one in units of each image's largest, a neighbourhood counts the
    image itself besides its k neighbours, and weights sum to 1.

    Args:
        query: Embeddings ``(q, D)``.
        gallery: Embeddings ``(g, D)``.
        k1: Neighbours for the reciprocal sets.
        k2: Images averaged in the query expansion, itself included.
        lambda_value: Weight of the original distance.

    Returns:
        ``(q, g)`` float32; smaller is nearer.

    Raises:
        ImportError: Without SciPy.
        ValueError: On an option out of range.

    Example:
        >>> query, gallery = np.eye(2), np.array([[0.9, 0.1], [0.1, 0.9], [0.5, 0.5]])
        >>> re_rank(query, gallery, k1=1, k2=1).argmin(axis=1)
        array([0, 1])
    """
    if k1 < 1 or k2 < 1 or not 0 <= lambda_value <= 1:
        raise ValueError(
            "re-ranking needs k1 >= 1, k2 >= 1 and lambda_value in [0, 1], got "
            f"{k1}, {k2} and {lambda_value}"
        )
    points = np.concatenate([query, gallery]).astype(np.float32)
    distances = _relative_distances(points)
    order = np.argsort(distances, axis=1, kind="stable")
    jaccard = _jaccard_distances(
        _sets_as_vectors(distances, order, k1), order[:, :k2], len(query)
    )
    blended = (1 - lambda_value) * jaccard
    return blended + lambda_value * distances[: len(query), len(query) :]


def reciprocal_sets(order: np.ndarray, k: int) -> list[set[int]]:
    """Return, for each image, those near it to which it is near as well (eq. 3).

    Args:
        order: ``(n, n)``, each image's ranking of all, itself first.
        k: Neighbours that count as near.
    """
    near = order[:, : k + 1]
    sets = [set(row) for row in near.tolist()]
    return [{j for j in sets[i] if i in sets[j]} for i in range(len(near))]


def _relative_distances(points: np.ndarray) -> np.ndarray:
    """Return squared distances ``(n, n)`` in units of each row's largest."""
    distances = (points**2).sum(1)[:, None] + (points**2).sum(1) - 2 * points @ points.T
    np.fill_diagonal(distances, 0)
    distances = distances.clip(0)
    distances /= distances.max(axis=1, keepdims=True).clip(1e-12)
    return distances


def _sets_as_vectors(distances: np.ndarray, order: np.ndarray, k1: int):
    """Return the expanded reciprocal sets as sparse rows of weights (eq. 4, 5, 7)."""
    whole = reciprocal_sets(order, k1)
    half = reciprocal_sets(order, round(k1 / 2))
    columns, weights, starts = [], [], [0]
    for i in range(len(order)):
        expanded = set(whole[i])
        for candidate in whole[i]:
            others = half[candidate]
            if len(whole[i] & others) >= 2 / 3 * len(others):
                expanded |= others
        members = np.array(sorted(expanded))
        weight = np.exp(-distances[i, members])
        columns.append(members)
        weights.append(weight / weight.sum())
        starts.append(starts[-1] + len(members))
    return _sparse_rows(np.concatenate(weights), np.concatenate(columns), starts)


def _jaccard_distances(vectors, nearest: np.ndarray, q: int) -> np.ndarray:
    """Return Jaccard distances of the first ``q`` images to the rest (eq. 10, 11).

    Args:
        vectors: Sparse ``(n, n)``, each row summing to 1.
        nearest: ``(n, k2)``, the images over which a row is averaged.
        q: Number of queries.
    """
    n, count = nearest.shape
    if count > 1:
        share = np.full(n * count, 1 / count, np.float32)
        starts = np.arange(0, n * count + 1, count)
        vectors = (_sparse_rows(share, nearest.ravel(), starts) @ vectors).tocsr()
    by_column = vectors[q:].tocsc()
    jaccard = np.empty((q, n - q), np.float32)
    for i in range(q):
        shared = np.zeros(n - q, np.float32)
        row = vectors[i]
        for column, value in zip(row.indices, row.data, strict=True):
            part = slice(by_column.indptr[column], by_column.indptr[column + 1])
            np.add.at(
                shared,
                by_column.indices[part],
                np.minimum(value, by_column.data[part]),
            )
        jaccard[i] = 1 - shared / (2 - shared)
    return jaccard


def _sparse_rows(values, columns, starts):
    """Return a square sparse matrix with ``len(starts) - 1`` rows."""
    try:
        from scipy import sparse
    except ImportError as error:
        raise ImportError("re-ranking needs SciPy: pip install scipy") from error
    n = len(starts) - 1
    return sparse.csr_matrix((values, columns, starts), shape=(n, n))
