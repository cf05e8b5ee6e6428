"""What annotations and a finished detector differ by, and what that says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass

import torch
from mmengine.config import Config, ConfigDict
from torch import Tensor

from semamb_mm.audit.advice import Estimate
from semamb_mm.functional import (
    ConsensusOptions,
    ConsensusRows,
    ErrorSplit,
    detector_change,
    half_samples,
    interval,
    split_errors,
)
from semamb_mm.pose.latent_targets.samples import keyed_annotations, located_samples
from semamb_mm.pose.latent_targets.store import LatentTargetStore

from .search import EQUAL_VIEWS, AugmentedSamples


@dataclass(frozen=True)
class Residuals:
    """Annotations and search results of some samples, in units of their sizes.

    Attributes:
        rows: Annotations, and what was found.
        scatter: Which part of the spread landmarks do not share.
        pictures: ``(N,)`` number of each sample's picture.
    """

    rows: ConsensusRows
    scatter: Tensor
    pictures: Tensor

    @classmethod
    def of_store(cls, store: LatentTargetStore, pictures: Sequence[str]) -> Residuals:
        """Return those of the samples of a store that have been searched.

        Args:
            store: After the search.
            pictures: Name of each sample's.
        """
        chosen = (store.counts > 0).any(1).nonzero()[:, 0]
        size = store.face_sizes(chosen).float()[:, None, None]
        numbers = {name: i for i, name in enumerate(pictures)}
        rows = ConsensusRows(
            store.annotations[chosen] / size,
            store.found[chosen] / size,
            store.visible[chosen] & (store.counts[chosen] > 0),
            store.spread[chosen].float() / size**2,
            store.views(EQUAL_VIEWS, chosen),
        )
        of_picture = torch.tensor([numbers[name] for name in pictures])
        return cls(rows, store.scatter.covariance(), of_picture[chosen])

    def squares(self, drawn: Tensor | slice = slice(None)) -> Tensor:
        """Return each landmark's mean squared residual, ``(K,)`` float64."""
        rows = self.rows.take(drawn)
        seen = rows.seen()
        apart = (rows.observed - rows.found).double().square().sum(-1)
        return torch.where(seen, apart, 0).sum(0) / seen.sum(0).clamp(min=1)

    def split(
        self, consensus: Mapping | None, drawn: Tensor | slice = slice(None)
    ) -> ErrorSplit:
        """Return noise and error of some samples.

        Args:
            consensus: Options of :func:`semamb_mm.functional.consensus_targets`.
            drawn: Which samples.
        """
        rows = self.rows.take(drawn)
        options = ConsensusOptions(
            **(consensus or {}),
            scatter=self.scatter,
            fewest=min(4, int(rows.seen().any(0).sum())),
        )
        return split_errors(rows, options)


@dataclass(frozen=True)
class Figures:
    """Of one group of landmarks; shares, and RMS in units of the samples' sizes."""

    ratio: Estimate
    noise: Estimate
    network: Estimate
    targets: Estimate
    detector: Estimate


def compare(
    train: Residuals,
    held_out: Residuals,
    groups: Mapping[str, Sequence[int]],
    consensus: Mapping | None,
    resamples: int = 200,
    seed: int = 0,
) -> dict[str, Figures]:
    """Return the figures of each group, with intervals by halves of the pictures.

    Args:
        train: Of samples that the detector was trained on.
        held_out: Of others.
        groups: Name to landmarks.
        consensus: See :meth:`Residuals.split`.
        resamples: How many halves.
        seed: Of their choice.
    """
    generator = torch.Generator().manual_seed(seed)

    def of_held_out(drawn: Tensor | slice = slice(None)) -> Tensor:
        return torch.stack((held_out.squares(drawn), *held_out.split(consensus, drawn)))

    mine, theirs = train.squares(), of_held_out()
    many = (
        half_samples(train.pictures, train.squares, resamples, generator),
        half_samples(held_out.pictures, of_held_out, resamples, generator),
    )
    return {
        name: _figures(list(landmarks), (mine, theirs), many)
        for name, landmarks in groups.items()
    }


def _figures(
    landmarks: list[int], whole: tuple[Tensor, Tensor], many: tuple[Tensor, Tensor]
) -> Figures:
    value = _shares(landmarks, *whole)
    drawn = torch.stack([_shares(landmarks, *one) for one in zip(*many)])
    low, high = interval(value, drawn)
    return Figures(*(Estimate(*map(float, ends)) for ends in zip(value, low, high)))


def _shares(landmarks: list[int], train: Tensor, held_out: Tensor) -> Tensor:
    """Return the figures of a group, ``(5,)``, of mean squares ``(K,)``, ``(4, K)``."""
    split = ErrorSplit(*held_out[1:])
    residual = held_out[0, landmarks].sum().clamp(min=1e-300)
    return torch.stack(
        (
            (train[landmarks].sum() / residual).sqrt(),
            split.noise[landmarks].mean().sqrt(),
            split.network[landmarks].mean().sqrt(),
            split.targets_change(landmarks),
            detector_change(split, train, held_out[0], landmarks),
        )
    )


def pictures_of(samples: AugmentedSamples) -> list[str]:
    """Return the name of each sample's picture."""
    located = located_samples(samples.dataset)
    infos = keyed_annotations(located)
    return [str(info.get("img_path", key)) for key, info in infos]


def held_out_dataset(config: Config, split: str) -> ConfigDict:
    """Return the config of a data set for testing, under the train pipeline.

    Args:
        config: Stays as it is.
        split: ``'val'`` or ``'test'``.

    Raises:
        ValueError: If the config has no such data set, or wraps it.
    """
    loader = config.get(f"{split}_dataloader")
    if not loader:
        raise ValueError(f"the config has no {split}_dataloader to find held-out data")
    dataset = deepcopy(loader.dataset)
    if dataset.get("dataset") is not None or dataset.get("datasets") is not None:
        raise ValueError(
            f"{split}_dataloader.dataset is a {dataset.type}: give the file of "
            "tools/cross_fit.py with --folds instead"
        )
    train = config.train_dataloader.dataset
    steps = [step for step in _train_steps(train) if "Converter" not in str(step.type)]
    own = [s for s in dataset.get("pipeline", ()) if "Converter" in str(s.type)]
    dataset.update(pipeline=[*own, *deepcopy(steps)], test_mode=False)
    if dataset.get("bbox_file"):
        dataset.bbox_file = ""  # boxes of the annotations, as in training
    return dataset


def _train_steps(dataset: ConfigDict) -> list:
    """Return the steps that samples of a train data set pass, of its first part."""
    parts = dataset.get("datasets") or [dataset.get("dataset")]
    inner = [] if parts == [None] else _train_steps(parts[0])
    return [*inner, *(dataset.get("pipeline") or ())]
