"""Losses of pytorch-metric-learning under MMPretrain's ``OSMCAAHead``, to compare."""

from mmpretrain.registry import MODELS
from pytorch_metric_learning import losses, miners
from torch import Tensor, nn


@MODELS.register_module()
class LibraryLoss(nn.Module):
    """A loss of pytorch-metric-learning with the miner it is published with.

    Args:
        name (str): ``TripletMarginLoss``, or a loss that goes with the miner of
            ``MultiSimilarityLoss``.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        if name == "TripletMarginLoss":
            self.miner = miners.TripletMarginMiner(0.2, "semihard")
            self.loss = losses.TripletMarginLoss(margin=0.2)
        else:
            self.miner = miners.MultiSimilarityMiner(epsilon=0.1)
            self.loss = getattr(losses, name)()

    def forward(self, embeddings: Tensor, labels: Tensor, context=None) -> Tensor:
        """Return the loss of a batch; ``context`` is the head's, not the library's."""
        return self.loss(embeddings, labels, self.miner(embeddings, labels))
