"""Targets of a finished detector: each sample is searched in several augmented views.

The detector is in evaluation mode: what it finds in a sample then depends on the sample
alone, not on those that share its batch, and its running statistics belong to the
weights at hand, also to averaged ones. The hook, which searches while training, sees
training mode.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.runner import Runner
from mmengine.utils import track_iter_progress
from torch import Tensor, nn
from torch.utils.data import DataLoader

from semamb_mm.audit.moves import moves_table, summarise_moves
from semamb_mm.formats.files import atomic_write
from semamb_mm.pose.heads.in_place_of import check_landmarks, observed_head
from semamb_mm.pose.hooks.train_pipeline import prepare_pipeline
from semamb_mm.pose.latent_targets.making import TargetMaker
from semamb_mm.pose.latent_targets.samples import build_store, located_samples
from semamb_mm.pose.latent_targets.search import (
    BatchSearch,
    SearchResult,
    complete_search_options,
)
from semamb_mm.pose.latent_targets.store import LatentTargetStore
from semamb_mm.pose.latent_targets.views import ViewFetcher, first_copies

# Below 1 over any number of views: all count alike.
EQUAL_VIEWS = 1e-6
_FIELDS = ("indices", "found", "energies", "searched", "at_edge", "views")


@dataclass(frozen=True)
class Making:
    """How targets are made: those options of ``LatentTargetHook`` that matter here.

    Attributes:
        search: See :class:`semamb_mm.pose.hooks.LatentTargetHook`.
        consensus: As above; ``{}`` where a config has no hook.
        temporal: As above.
        freeze: As above.
    """

    search: dict | None
    consensus: dict | None
    temporal: dict | None
    freeze: tuple[int, ...]

    @classmethod
    def of_config(cls, config: Config) -> Making:
        """Return the options of a config's hook; the defaults with consensus else."""
        hook = latent_target_hook(config)
        options = dict(consensus={}) if hook is None else hook
        names = ("search", "consensus", "temporal")
        plain = {name: _plain(options.get(name)) for name in names}
        return cls(**plain, freeze=tuple(options.get("freeze", ())))

    def options(self) -> dict:
        """Return the options by name, as JSON takes them."""
        return dict(vars(self), freeze=list(self.freeze))

    def maker(self) -> TargetMaker:
        """Return what makes targets of what was found."""
        return TargetMaker(self.consensus, self.temporal, self.freeze)


class AugmentedSamples:
    """A data set's samples in augmented views, each sample once a view.

    Args:
        loader: A config's ``train_dataloader``. Sampler, batch sampler and the
            dropping of a last batch are left out.
        dataset: The data set's config, if not the loader's.
        batch_size: Samples at a time, if not the loader's.

    Attributes:
        dataset: With a train pipeline that is ready for latent targets.
        store (LatentTargetStore): Of all samples, targets at the annotations.
        use_udp: Whether ``TopdownAffine`` has ``use_udp=True``.
    """

    def __init__(
        self,
        loader: ConfigDict,
        dataset: ConfigDict | None = None,
        batch_size: int | None = None,
    ) -> None:
        left_out = ("sampler", "batch_sampler", "drop_last", "num_batch_per_epoch")
        options = {k: v for k, v in loader.items() if k not in left_out}
        options["dataset"] = loader.dataset if dataset is None else dataset
        options["batch_size"] = batch_size or loader.get("batch_size") or 32
        in_order = dict(type="DefaultSampler", shuffle=False)
        self._loader = Runner.build_dataloader(dict(options, sampler=in_order))
        self.dataset = self._loader.dataset
        readers, affine = prepare_pipeline(self.dataset)
        self.use_udp = affine.use_udp
        self.store = build_store(self.dataset)
        for reader in readers:
            reader.connect(self.store)
        self.dataset.__getitems__ = ViewFetcher(self.dataset, self.store.shared)

    def __len__(self) -> int:
        return len(self.store)

    @property
    def names(self) -> list[str]:
        """Of the landmarks, as far as the data set names them; else their numbers."""
        known = located_samples(self.dataset)[0][0].metainfo.get("keypoint_id2name", {})
        return [str(known.get(k, k)) for k in range(self.store.num_keypoints)]

    @property
    def truth(self) -> np.ndarray | None:
        """``(N, K, 2)`` image pixels, where the data sets know it; else None."""
        located = located_samples(self.dataset)
        if not all(hasattr(leaf, "true_keypoints") for leaf, _ in located):
            return None
        return np.stack([leaf.true_keypoints(i) for leaf, i in located])

    def loader(self, seed: int, view: int, rows: Sequence[int] | None) -> DataLoader:
        """Return the batches of a view.

        Args:
            seed: Views of other seeds are other views.
            view: Its number.
            rows: Of the store; None for all.

        Raises:
            ValueError: On rows, if a wrapper of the data set draws its samples.
        """
        indices = first_copies(self.dataset, len(self))
        if rows is not None:
            if len(indices) != len(self):
                raise ValueError(
                    f"{type(self.dataset).__name__} draws its samples, so that they "
                    "cannot be searched one by one: take it out of the config"
                )
            indices = [indices[row] for row in rows]
        self.store.shared.clock = (seed, view)
        return DataLoader(
            self.dataset,
            self._loader.batch_size,
            sampler=indices,
            num_workers=self._loader.num_workers,
            collate_fn=self._loader.collate_fn,
            pin_memory=self._loader.pin_memory,
        )


class FinishedSearch:
    """Searches samples with a finished detector.

    Args:
        model: With a head that can be observed, on its device.
        samples: The samples.
        making: The options.

    Raises:
        ValueError: If head, options and data do not fit.
    """

    def __init__(
        self, model: nn.Module, samples: AugmentedSamples, making: Making
    ) -> None:
        self.model, self.samples = model.eval(), samples
        self.head = observed_head(model)
        landmarks = samples.store.num_keypoints
        check_landmarks(self.head, samples.dataset, landmarks)
        making.maker().check(samples.store)
        given = getattr(self.head, "search", None)  # in cells, deprecated
        options = given or complete_search_options(
            making.search,
            self.head.search_grid,
            landmarks,
            "LatentTargetHook",
            consensus=making.consensus is not None,
        )
        self.search = BatchSearch(
            options,
            self.head.search_grid,
            "annotation",
            samples.use_udp,
            making.freeze,
        )

    @torch.no_grad()
    def __call__(
        self, seed: int, view: int, rows: Sequence[int] | None = None
    ) -> SearchResult:
        """Search a view, with a progress bar.

        Args:
            seed: Of the augmentation.
            view: Its number.
            rows: Of the store; None for all.

        Raises:
            RuntimeError: If the data set gave other samples than those.
        """
        heatmaps: list[Tensor | tuple[Tensor, ...]] = []
        results = []
        loader = self.samples.loader(seed, view, rows)
        with self.head.register_heatmap_observer(heatmaps.append):
            for batch in track_iter_progress((loader, len(loader)), file=sys.stderr):
                data = self.model.data_preprocessor(batch, False)
                self.model(data["inputs"], data["data_samples"], mode="tensor")
                results.append(self.search(heatmaps.pop(), batch["data_samples"]))
        result = SearchResult.join(results).compact()
        wanted = set(range(len(self.samples)) if rows is None else rows)
        if set(result.indices.tolist()) != wanted:
            raise RuntimeError(
                f"{type(self.samples.dataset).__name__} gave other samples than it was "
                "asked for: latent targets cannot be told apart under this wrapper"
            )
        return result


def search_views(
    opened: Callable[[], FinishedSearch],
    folder: Path,
    views: int,
    *,
    seed: int = 0,
    rows: Sequence[int] | None = None,
    first: int = 0,
) -> list[SearchResult]:
    """Search several views; those that lie in a folder already are not repeated.

    Args:
        opened: Gives the search, if there is anything to search.
        folder: Where each view is kept as it is found.
        views: How many.
        seed: Of the augmentation.
        rows: Of the store; None for all.
        first: Number of the first one among all views of these samples.
    """
    results, search = [], None
    for view in range(views):
        path = folder / f"view{view}.npz"
        if not path.is_file():
            print(f"view {view + 1} of {views}", file=sys.stderr)
            search = search or opened()
            found = search(seed, view, rows)
            with atomic_write(path, "wb") as file:
                np.savez(file, **{n: getattr(found, n).numpy() for n in _FIELDS})
        with np.load(path, allow_pickle=False) as arrays:
            found = SearchResult(**{n: torch.from_numpy(arrays[n]) for n in _FIELDS})
        found.views.fill_(first + view)
        results.append(found)
    return results


def mean_of_views(results: Sequence[SearchResult], number: int) -> SearchResult:
    """Return what one network finds, the mean over its views, as a single view.

    So that the spread over views becomes the spread over networks.

    Args:
        results: Views of the same samples.
        number: Of the network.
    """
    rows = [result.take(result.indices.argsort()) for result in results]
    found = torch.stack([result.found for result in rows])
    energies = torch.stack([result.energies for result in rows])
    usable = torch.stack([result.searched for result in rows])
    usable &= torch.isfinite(energies) & torch.isfinite(found).all(-1)
    count = usable.sum(0).clamp(min=1)

    def mean(values: Tensor, shown: Tensor, number: Tensor) -> Tensor:
        return torch.where(shown, values.double(), 0).sum(0) / number

    return replace(
        rows[0],
        found=mean(found, usable[..., None], count[..., None]).to(found),
        energies=mean(energies, usable, count).to(energies),
        searched=usable.any(0),
        at_edge=torch.stack([result.at_edge for result in rows]).any(0),
        views=torch.full_like(rows[0].views, number),
    )


def make_targets(
    store: LatentTargetStore, results: Iterable[SearchResult], making: Making
) -> TargetMaker:
    """Make targets of everything that was found, every view counting alike.

    Args:
        store: Of the samples; its targets are made.
        results: Of different views, or different samples.
        making: The options.

    Returns:
        What made them; it knows the estimated deviations.
    """
    maker = making.maker()
    for result in results:
        store.record(result, EQUAL_VIEWS, move=not maker.makes_targets)
    maker.apply(store, EQUAL_VIEWS)
    return maker


def moves_report(samples: AugmentedSamples, maker: TargetMaker) -> str:
    """Return how far targets moved, and which errors were estimated, as text."""
    store = samples.store
    summary = summarise_moves(
        store.annotations.numpy(),
        store.targets.numpy(),
        store.visible.numpy(),
        samples.truth,
        samples.names,
    )
    lines = [moves_table(summary, store.num_keypoints)]
    deviations = maker.deviations()
    for name, of in (
        ("noise", "the annotations"),
        ("network", "what the search finds"),
    ):
        start = f"latent_{name}"
        parts = [
            f"{key.removeprefix(start).lstrip('_') or 'all'} {100 * value:.2f}"
            for key, value in deviations.items()
            if key.startswith(start)
        ]
        if parts:
            lines.append(
                f"estimated errors of {of}, RMS in % of the size of the landmarks' "
                f"box: {', '.join(parts)}"
            )
    return "\n".join(lines)


def latent_target_hook(config: Config) -> ConfigDict | None:
    """Return the options of a config's ``LatentTargetHook``, or of a fragment's.

    Args:
        config: With the hook among ``custom_hooks``, or ``latent_target_hook`` to put
            there, as in ``configs/_base_``.
    """
    return latent_target_hook_among(config) or config.get("latent_target_hook")


def latent_target_hook_among(config: Config) -> ConfigDict | None:
    """Return the options of the ``LatentTargetHook`` among a config's hooks."""
    hooks = config.get("custom_hooks") or ()
    return next((hook for hook in hooks if hook["type"] == "LatentTargetHook"), None)


def _plain(options):
    return options.to_dict() if isinstance(options, ConfigDict) else options
