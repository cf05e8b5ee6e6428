"""A training's store: what all ranks found goes in, targets come out."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from semamb_mm.audit.suspects import read_suspects, suspect_mask
from semamb_mm.faces.landmarks import landmark_groups

from .exchange import Ranks
from .making import TargetMaker
from .samples import build_store
from .search import SearchResult
from .shared import SharedTargets
from .store import LatentTargetStore
from .targets_file import read_targets


class TargetKeeper:
    """Keeps the latent targets of a training, on every rank.

    Args:
        dataset: The train data set, prepared by ``prepare_pipeline``.
        maker: Makes targets of what was found.
        momentum: See :meth:`LatentTargetStore.record`.

    Attributes:
        store (LatentTargetStore): On rank 0; None elsewhere.
        shared (SharedTargets): The machine's targets.

    Raises:
        ValueError: If the maker's options do not fit the data set.
    """

    def __init__(self, dataset, maker: TargetMaker, momentum: float) -> None:
        self.ranks = Ranks()
        self.maker = maker
        self.momentum = momentum
        self.store: LatentTargetStore | None = None
        shared = None
        if self.ranks.leads:
            store = build_store(dataset, named=self.ranks.world > 1)
            shared = store.shared
            if self.ranks.first:
                self.store = store
        self.shared: SharedTargets = self.ranks.share(shared)
        maker.check(self.shared)

    def restore(self, state: dict) -> None:
        """Take over a checkpoint's targets.

        Raises:
            ValueError: If they are of other data.
        """
        rows = None
        if self.store is not None:
            self.store.load_state_dict(state)
            rows = torch.arange(len(self.store))
        self.ranks.spread(self.shared, rows)

    def adopt(self, path: str) -> None:
        """Begin with the targets of a file; frozen landmarks keep their annotation.

        Args:
            path: See :func:`read_targets`. Rank 0 reads it.

        Raises:
            ValueError: If it cannot be read, or is of other data.
        """
        rows = None
        if self.store is not None:
            self.store.adopt(read_targets(path), path)
            frozen = self.maker.freeze
            self.store.targets[:, frozen] = self.store.annotations[:, frozen]
            rows = torch.arange(len(self.store))
        self.ranks.spread(self.shared, rows)

    def leave_out(self, file: str | None = None, subset: bool = False) -> str:
        """Let labels weigh nothing in the loss; all ranks call it together.

        Args:
            file: Which ones, see :func:`read_suspects`; None: those of a checkpoint
                that was taken over. Rank 0 reads it.
            subset: Whether it may name samples that the data set lacks.

        Returns:
            How many there are, for the log; nothing without any and without a file.

        Raises:
            ValueError: If the file cannot be read, or is of other data.
        """
        if file is not None and self.store is not None:
            suspects = suspect_mask(
                read_suspects(file),
                self.store.keys,
                self.store.annotations.numpy(),
                self.store.visible.numpy(),
                subset,
            )
            self.store.suspects.copy_(torch.from_numpy(suspects))
        self.ranks.spread_suspects(self.shared)
        suspects, visible = self.shared.suspects, self.shared.visible
        number, known = int(suspects.sum()), int(visible.sum())
        if file is None and not number:
            return ""
        whole = int((suspects.any(1) & ~(visible & ~suspects).any(1)).sum())
        return (
            f"Suspects of {file or 'the checkpoint'}: {number} of {known} labels "
            f"({number / max(known, 1):.2%}) weigh nothing in the loss; {whole} of "
            f"{len(suspects)} samples have no other."
        )

    def commit(
        self, results: Sequence[SearchResult], *, make: bool = True
    ) -> dict[str, float]:
        """Record what all ranks found, and let the targets of it take effect.

        All ranks call it together.

        Args:
            results: This rank's.
            make: Whether the maker's targets are made now, if it makes any.

        Returns:
            On rank 0, figures for the log: see :meth:`_figures`.
        """
        joined = SearchResult.join(results) if results else None
        rows, searched, sums = [], [], torch.zeros(3, dtype=torch.float64)
        for part in self.ranks.gather(joined):
            recorded = self.store.record(
                part, self.momentum, move=not self.maker.makes_targets
            )
            rows.append(part.indices)
            searched.append(recorded)
            sums[0] += recorded.sum()
            sums[1] += part.at_edge[recorded].sum()
            sums[2] += part.energies[recorded].double().sum()
        if self.store is None:
            self.ranks.spread(self.shared, None)
            return {}
        changed = torch.cat(rows) if rows else torch.zeros(0, dtype=torch.int64)
        if self.maker.makes_targets:
            changed = changed[:0]
            if make and rows:
                self.maker.apply(self.store, self.momentum)
                changed = (self.store.counts > 0).any(1).nonzero()[:, 0]
        self.ranks.spread(self.shared, changed)
        return self._figures(rows, searched, sums) if sums[0] else {}

    def _figures(
        self, rows: list[Tensor], searched: list[Tensor], sums: Tensor
    ) -> dict[str, float]:
        """Return what a search did, by name.

        ``latent_move`` (and ``_contour``, ``_brows``, ... where the landmarks' regions
        are known): mean distance between target and annotation, as a share of the
        face's size. ``latent_at_edge``: share of landmarks found at the neighbourhood's
        edge. ``latent_energy``. After consensus ``latent_noise`` and
        ``latent_network`` by region: estimated deviations of the annotations and of
        what is found.
        """
        total, number = 0.0, 0.0
        for part, chosen in zip(rows, searched):
            moves = self.store.targets[part] - self.store.annotations[part]
            share = moves.norm(dim=-1) / self.store.face_sizes(part)[:, None]
            total = total + torch.where(chosen, share, 0).sum(0)
            number = number + chosen.sum(0)
        figures = dict(latent_move=float(total.sum() / number.sum()))
        groups = landmark_groups(self.shared.num_keypoints)
        regions = {
            f"_{region}": landmarks
            for region, landmarks in groups.items()
            if region not in ("all", "weak", "strong")
        }
        for region, landmarks in regions.items():
            if number[landmarks].sum():
                mean = total[landmarks].sum() / number[landmarks].sum()
                figures[f"latent_move{region}"] = float(mean)
        figures.update(
            {name: float(value) for name, value in self.maker.deviations().items()}
        )
        figures["latent_at_edge"] = float(sums[1] / sums[0])
        figures["latent_energy"] = float(sums[2] / sums[0])
        return figures
