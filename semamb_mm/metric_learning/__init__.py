"""Metric learning in plain torch and numpy: the pair loss, sampling, retrieval.

Nothing here needs OpenMMLab. ``semamb_mm.pretrain`` registers the same loss,
sampler and scores into MMPretrain.

- ``loss``: :class:`OSMCAALoss`, the weighted contrastive loss as a module.
- ``joint_loss``: :class:`JointOSMCAALoss`, which holds and trains the class context
  itself, for any trainer that calls ``loss(embeddings, labels)``.
- ``sampling``: :class:`PKSampler`, batches of P classes with K samples each.
- ``retrieval``: Recall@K, mAP, R-precision and NMI of a set searched in itself;
  CMC and mAP of tracklets.
- ``re_ranking``: :func:`re_rank`, k-reciprocal re-ranking.

Example:
    A linear embedding of two classes, trained on balanced batches:

    >>> import torch
    >>> _ = torch.manual_seed(0)
    >>> labels = torch.arange(2).repeat(20)
    >>> images = torch.randn(40, 8) + 3 * labels[:, None]
    >>> model = torch.nn.Linear(8, 2)
    >>> loss = JointOSMCAALoss(num_classes=2, embedding_size=2)
    >>> parameters = [*model.parameters(), *loss.parameters()]
    >>> optimizer = torch.optim.Adam(parameters, lr=0.1)
    >>> sampler = PKSampler(labels, num_classes_per_batch=2, num_samples_per_class=4)
    >>> for batch in torch.tensor(list(sampler)).split(sampler.batch_size):
    ...     optimizer.zero_grad()
    ...     loss(model(images[batch]), labels[batch]).backward()
    ...     optimizer.step()
    >>> scores = retrieval_scores(model(images).detach(), labels, topk=(1,))
    >>> scores["Recall@1"] > 90
    True
"""

from .joint_loss import JointOSMCAALoss
from .loss import OSMCAALoss
from .re_ranking import re_rank
from .retrieval import (
    AVERAGE_PRECISIONS,
    clustering_nmi,
    pool_tracklets,
    rankings,
    retrieval_scores,
    tracklet_scores,
)
from .sampling import PKSampler

__all__ = [
    "AVERAGE_PRECISIONS",
    "JointOSMCAALoss",
    "OSMCAALoss",
    "PKSampler",
    "clustering_nmi",
    "pool_tracklets",
    "rankings",
    "re_rank",
    "retrieval_scores",
    "tracklet_scores",
]
