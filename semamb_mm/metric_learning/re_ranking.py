from __future__ import annotations

import numpy as np
from scipy import sparse


def re_rank(
    query: np.ndarray,
    gallery: np.ndarray,
    k1: int = 20,
    k2: int = 6,
    lambda_value: float = 0.3,
) -> np.ndarray:
    """Distances after k-reciprocal re-ranking.

    Zhong et al., "Re-ranking Person Re-identification with k-reciprocal
    Encoding", CVPR 2017: eq. 3 to 5 (the expanded reciprocal set), 7
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
    """
    if k1 < 1 or k2 < 1 or not 0 <= lambda_value <= 1:
        raise ValueError(
            "re-ranking needs k1 >= 1, k2 >= 1 and lambda_value in [0, 1], got "
            f"{k1}, {k2} and {lambda_value}"
        )
    points = np.concatenate([query, gallery]).astype(np.float32)
    n = len(points)
    distances = (points**2).sum(1)[:, None] + (points**2).sum(1) - 2 * points @ points.T
    np.fill_diagonal(distances, 0)
    distances = distances.clip(0)
    distances /= distances.max(axis=1, keepdims=True).clip(1e-12)
    order = np.argsort(distances, axis=1, kind="stable")

    whole = reciprocal_sets(order, k1)
    half = reciprocal_sets(order, round(k1 / 2))
    columns, weights, starts = [], [], [0]
    for i in range(n):
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
    vectors = sparse.csr_matrix(
        (np.concatenate(weights), np.concatenate(columns), starts), shape=(n, n)
    )
    if k2 > 1:
        count = min(k2, n)
        mean = sparse.csr_matrix(
            (
                np.full(n * count, 1 / count, np.float32),
                order[:, :count].ravel(),
                np.arange(0, n * count + 1, count),
            ),
            shape=(n, n),
        )
        vectors = (mean @ vectors).tocsr()

    q = len(query)
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
    return (1 - lambda_value) * jaccard + lambda_value * distances[:q, q:]


def reciprocal_sets(order: np.ndarray, k: int) -> list[set[int]]:
    """Eq. 3: for each image, those near it to which it is near as well."""
    near = order[:, : k + 1]
    sets = [set(row) for row in near.tolist()]
    return [{j for j in sets[i] if i in sets[j]} for i in range(len(near))]
