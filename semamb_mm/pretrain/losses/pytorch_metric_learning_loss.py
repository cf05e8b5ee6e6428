"""Losses of pytorch-metric-learning under MMPretrain's heads."""

from __future__ import annotations

from mmpretrain.registry import MODELS
from torch import Tensor, nn


@MODELS.register_module()
class PytorchMetricLearningLoss(nn.Module):
    """A loss of pytorch-metric-learning, with a miner of it if one is given.

    For ``OSMCAAHead(loss=dict(type='PytorchMetricLearningLoss', ...))``. The library
    takes ``(embeddings, labels, indices_tuple)``; the context that the head gives is
    left out.

    Example:
        ```python
        # Of an OSMCAAHead:
        model = dict(head=dict(loss=dict(
            _delete_=True, type='PytorchMetricLearningLoss',
            loss=dict(type='MultiSimilarityLoss'),
            miner=dict(type='MultiSimilarityMiner'))))
        ```

    Args:
        loss (dict): ``type``, the name of a class of
            ``pytorch_metric_learning.losses``, and its arguments. Parameters of it,
            such as proxies, are trained with the head.
        miner (dict, optional): The same of ``pytorch_metric_learning.miners``.
        loss_weight (float): Defaults to 1.0.

    Raises:
        ImportError: Without pytorch-metric-learning.
        ValueError: On a name that it does not have.
    """

    def __init__(
        self, loss: dict, miner: dict | None = None, loss_weight: float = 1.0
    ) -> None:
        super().__init__()
        try:
            from pytorch_metric_learning import losses, miners
        except ImportError as error:
            raise ImportError(
                "PytorchMetricLearningLoss needs the library: pip install "
                "pytorch-metric-learning"
            ) from error
        self.loss = _build(losses, loss)
        self.miner = None if miner is None else _build(miners, miner)
        self.loss_weight = loss_weight

    def forward(
        self, embeddings: Tensor, labels: Tensor, context: Tensor | None = None
    ) -> Tensor:
        """Return the loss of a batch.

        Args:
            embeddings: ``(m, D)``.
            labels: ``(m,)`` integers.
            context: Not used.
        """
        mined = None if self.miner is None else self.miner(embeddings, labels)
        return self.loss_weight * self.loss(embeddings, labels, mined)


def _build(module, options: dict) -> nn.Module:
    """Return an object of a class of a module of the library."""
    options = dict(options)
    name = options.pop("type", None)
    known = [n for n in dir(module) if n.endswith(("Loss", "Miner"))]
    if name not in known:
        raise ValueError(
            f"PytorchMetricLearningLoss: {module.__name__} has no {name!r}; it has "
            f"{', '.join(known)}"
        )
    return getattr(module, name)(**options)
