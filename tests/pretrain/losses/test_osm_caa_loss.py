"""The mathematics is tested in tests/metric_learning/test_loss.py."""

import torch
from mmpretrain.registry import MODELS

from semamb_mm import metric_learning
from semamb_mm.pretrain import OSMCAALoss


def test_the_registered_loss_is_the_plain_one():
    loss = MODELS.build(dict(type="OSMCAALoss", caa=False, margin=1.0, loss_weight=2))
    assert type(loss) is OSMCAALoss is metric_learning.OSMCAALoss
    embeddings, labels = torch.eye(4), torch.tensor([0, 0, 1, 1])
    plain = metric_learning.OSMCAALoss(caa=False, margin=1.0)
    assert loss(embeddings, labels) == 2 * plain(embeddings, labels) > 0
