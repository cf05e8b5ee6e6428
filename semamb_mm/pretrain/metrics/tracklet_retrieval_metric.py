from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpretrain.registry import METRICS

from semamb_mm.metric_learning.re_ranking import re_rank

from .self_retrieval_metric import checked_embedding

ROLES = ("query", "gallery")


@METRICS.register_module()
class TrackletRetrievalMetric(BaseMetric):
    """CMC and mAP of video re-identification, tracklet against tracklet.

    Reads ``embedding`` ``(D,)``, ``gt_label`` (the person), ``camera_id``,
    ``tracklet_id`` and ``role`` (``query`` or ``gallery``) of every image's
    data sample: pack the last three with ``PackInputs(meta_keys=...)``. A
    tracklet's images are pooled into one embedding. For each query the
    gallery's tracklets of the same person and the same camera are junk and
    left out (Zheng et al., "MARS", ECCV 2016). All scores in percent.

    Args:
        topk (sequence of int): Ranks of the CMC. Defaults to (1, 5, 10, 20).
        pooling (str): ``mean`` or ``max`` of the L2-normalised embeddings.
        queries_in_gallery (bool): Search each query among the other queries,
            too, as MARS's own evaluation does. Defaults to ``False``.
        re_ranking (dict | bool): Also report k-reciprocal re-ranking, with
            :func:`re_rank`'s options. Defaults to ``False``.

    Raises:
        ValueError: On an unknown option; while evaluating, on a data sample
            without one of the fields, an embedding that is zero or not
            finite, a tracklet of two persons or cameras, or no query that
            has a match.
    """

    default_prefix = "reid"

    def __init__(
        self,
        topk: Sequence[int] = (1, 5, 10, 20),
        pooling: str = "mean",
        queries_in_gallery: bool = False,
        re_ranking: dict | bool = False,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        if not topk or min(topk) < 1:
            raise ValueError(
                f"TrackletRetrievalMetric: topk must be positive, got {topk}"
            )
        if pooling not in ("mean", "max"):
            raise ValueError(
                f"TrackletRetrievalMetric: pooling is 'mean' or 'max', not {pooling!r}"
            )
        self.topk = tuple(topk)
        self.pooling = pooling
        self.gallery_roles = ROLES if queries_in_gallery else ROLES[1:]
        self.re_ranking = {} if re_ranking is True else re_ranking

    def process(self, data_batch, data_samples: Sequence[dict]) -> None:
        """Collect the images' embeddings and whose they are."""
        for sample in data_samples:
            image = sample.get("img_path", "a sample")
            for key in ("camera_id", "tracklet_id", "role"):
                if key not in sample:
                    raise ValueError(
                        f"{image} has no {key!r}: PackInputs(meta_keys=...) packs it"
                    )
            if sample["role"] not in ROLES:
                raise ValueError(
                    f"{image}: role is one of {ROLES}, not {sample['role']!r}"
                )
            key = (sample["role"], int(sample["tracklet_id"]))
            owner = (int(sample["gt_label"]), int(sample["camera_id"]))
            self.results.append((key, owner, checked_embedding(sample)))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """The scores of all tracklets."""
        query = self.pool(results, ROLES[:1])
        gallery = self.pool(results, self.gallery_roles)
        distances = torch.cdist(query[0], gallery[0]).numpy()
        scores = tracklet_scores(distances, *query[1:], *gallery[1:], self.topk)
        left_out = scores.pop("queries_without_match")
        if left_out:
            print_log(
                f"TrackletRetrievalMetric: {left_out} of {len(query[0])} queries have "
                "no match under another camera and are left out",
                logger="current",
                level=30,
            )
        if self.re_ranking is not False:
            distances = re_rank(query[0].numpy(), gallery[0].numpy(), **self.re_ranking)
            again = tracklet_scores(distances, *query[1:], *gallery[1:], self.topk)
            del again["queries_without_match"]
            scores |= {f"{name}_reranked": value for name, value in again.items()}
        return scores

    def pool(self, results: list, roles: Sequence[str]):
        """Embeddings ``(t, D)``, persons and cameras of the roles' tracklets."""
        tracklets: dict[tuple[str, int], list] = {}
        owners: dict[tuple[str, int], tuple[int, int]] = {}
        for key, owner, embedding in results:
            role, tracklet = key
            if role not in roles:
                continue
            if owners.setdefault(key, owner) != owner:
                raise ValueError(
                    f"{role} tracklet {tracklet} belongs to person and camera "
                    f"{owners[key]} and to {owner}"
                )
            tracklets.setdefault(key, []).append(embedding)
        if not tracklets:
            raise ValueError(f"no image has the role {' or '.join(roles)!r}")
        pooled = []
        for embeddings in tracklets.values():
            images = F.normalize(torch.from_numpy(np.stack(embeddings)))
            pooled.append(images.mean(0) if self.pooling == "mean" else images.amax(0))
        persons, cameras = np.array(list(owners.values())).T
        return F.normalize(torch.stack(pooled)), persons, cameras


def tracklet_scores(
    distances: np.ndarray,
    query_persons: np.ndarray,
    query_cameras: np.ndarray,
    gallery_persons: np.ndarray,
    gallery_cameras: np.ndarray,
    topk: Sequence[int],
) -> dict[str, float]:
    """``CMC-k`` and ``mAP`` in percent.

    Args:
        distances: ``(q, g)``.
        query_persons, query_cameras: ``(q,)``.
        gallery_persons, gallery_cameras: ``(g,)``; a person <= 0 is a
            distractor and matches nobody.
        topk: Ranks of the CMC.

    Raises:
        ValueError: If no query has a match.
    """
    first, average_precision = [], []
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
        first.append(ranks[0])
        average_precision.append(np.mean(np.arange(1, len(ranks) + 1) / ranks))
    if not first:
        raise ValueError(
            f"none of {len(distances)} queries has a match under another camera"
        )
    first = np.array(first)
    scores = {f"CMC-{k}": 100 * float((first <= k).mean()) for k in topk}
    scores["mAP"] = 100 * float(np.mean(average_precision))
    scores["queries_without_match"] = len(distances) - len(first)
    return scores
