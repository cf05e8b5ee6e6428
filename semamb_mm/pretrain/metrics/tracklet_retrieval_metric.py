"""Video re-identification, tracklet against tracklet, as a metric of MMPretrain."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmpretrain.registry import METRICS

from semamb_mm.metric_learning import pool_tracklets, re_rank, tracklet_scores

from .self_retrieval_metric import (
    checked_average_precision,
    checked_embedding,
    checked_topk,
)

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

    Example:
        ```python
        *steps, pack = _base_.test_pipeline
        test_pipeline = [
            *steps,
            dict(pack, meta_keys=('camera_id', 'tracklet_id', 'role'))]
        val_dataloader = dict(dataset=dict(
            _delete_=True, type='MARS', data_root='data/mars', split='test',
            pipeline=test_pipeline))
        val_evaluator = dict(
            _delete_=True, type='TrackletRetrievalMetric', topk=(1, 5, 10, 20))
        test_dataloader, test_evaluator = val_dataloader, val_evaluator
        ```

    Args:
        topk (sequence of int): Ranks of the CMC. Defaults to (1, 5, 10, 20).
        pooling (str): ``mean`` or ``max`` of the L2-normalised embeddings.
        queries_in_gallery (bool): Search each query among the other queries,
            too, as MARS's own evaluation does. Defaults to ``False``.
        average_precision (str): ``step``, or ``trapezoid`` as MARS's and
            Market-1501's own evaluations have it, see
            :func:`semamb_mm.metric_learning.tracklet_scores`. Defaults to
            ``step``, which gives the larger figures.
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
        average_precision: str = "step",
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        self.topk = checked_topk(topk, "TrackletRetrievalMetric")
        if pooling not in ("mean", "max"):
            raise ValueError(
                f"TrackletRetrievalMetric: pooling is 'mean' or 'max', not {pooling!r}"
            )
        self.pooling = pooling
        self.gallery_roles = ROLES if queries_in_gallery else ROLES[1:]
        self.average_precision = checked_average_precision(
            average_precision, "TrackletRetrievalMetric"
        )
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
        """Return the scores of all tracklets."""
        query = self.pool(results, ROLES[:1])
        gallery = self.pool(results, self.gallery_roles)
        distances = torch.cdist(query[0], gallery[0]).numpy()
        owners = (*query[1:], *gallery[1:], self.topk, self.average_precision)
        scores = tracklet_scores(distances, *owners)
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
            again = tracklet_scores(distances, *owners)
            del again["queries_without_match"]
            scores |= {f"{name}_reranked": value for name, value in again.items()}
        return scores

    def pool(self, results: list, roles: Sequence[str]):
        """Return embeddings ``(t, D)``, persons and cameras of the roles' tracklets."""
        chosen = [result for result in results if result[0][0] in roles]
        if not chosen:
            raise ValueError(f"no image has the role {' or '.join(roles)!r}")
        keys, owners, embeddings = zip(*chosen, strict=True)
        names = [f"{role} tracklet {number}" for role, number in keys]
        persons, cameras = zip(*owners, strict=True)
        return pool_tracklets(
            np.stack(embeddings), names, persons, cameras, self.pooling
        )
