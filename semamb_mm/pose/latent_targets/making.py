"""How targets are made of what the search found and of the annotations."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor

from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.functional import (
    ConsensusOptions,
    ConsensusRows,
    combine_annotations,
    consensus_by_chunks,
    consensus_targets,
    temporal_targets,
)

from .options import check_options
from .shared import SharedTargets
from .store import LatentTargetStore


class TargetMaker:
    """Makes targets of all annotations and all search results together.

    Args:
        consensus: Options of :func:`semamb_mm.functional.consensus_targets`; None:
            the targets are what the search found.
        temporal: Options of :func:`semamb_mm.functional.temporal_targets`; None: each
            frame for itself.
        freeze: Landmarks that keep their annotation.

    Attributes:
        variances: After consensus, each landmark's estimated variance of annotators and
            of the network, ``(K,)`` each, in squares of the face's size; else None.
    """

    def __init__(
        self,
        consensus: dict | None = None,
        temporal: dict | None = None,
        freeze: Sequence[int] = (),
    ) -> None:
        self.consensus = consensus
        self.temporal = temporal
        self.freeze = list(freeze)
        self.variances: tuple[Tensor, Tensor] | None = None
        self._warned = False

    @property
    def makes_targets(self) -> bool:
        """Whether targets are other than what was found."""
        return self.consensus is not None or self.temporal is not None

    def check(self, store: LatentTargetStore | SharedTargets) -> None:
        """See whether the options fit a data set.

        Raises:
            ValueError: On a ``freeze`` index that the data set lacks, an unknown option
                or a wrong value of one.
        """
        landmarks = store.num_keypoints
        bad = [
            k for k in self.freeze if not (isinstance(k, int) and 0 <= k < landmarks)
        ]
        if bad:
            raise ValueError(
                f"LatentTargetHook(freeze={self.freeze}): {bad} are no landmark "
                f"of this data set; its indices are 0 to {landmarks - 1}"
            )
        points, places = torch.zeros(2, landmarks, 2), torch.arange(2)
        if self.consensus is not None:
            _check("consensus", consensus_targets, self.consensus, points, points)
        if self.temporal is not None:
            arguments = (points, points, points, places, places)
            _check("temporal", temporal_targets, self.temporal, *arguments)

    def frames_that_agree(self, store: LatentTargetStore) -> int:
        """Return how many samples have enough frames beside them.

        Raises:
            ValueError: If none has.
        """
        # Numbers that no parabola meets, and that share no motion, change wherever
        # anything can.
        probe = torch.rand(len(store), 1, 2, generator=torch.Generator())
        smooth = temporal_targets(
            probe, probe, -probe, store.sequences, store.frame_numbers, **self.temporal
        )
        changed = int((smooth != probe).any(-1).sum())
        if not changed:
            raise ValueError(
                f"LatentTargetHook(temporal={self.temporal}) changes nothing here: no "
                "sample has three others with its 'sequence_id' whose 'frame_number's "
                "are within the window. Face300VWVideoDataset gives both; the window "
                "counts frames of the video, of which a large stride leaves too few"
            )
        return changed

    def apply(self, store: LatentTargetStore, momentum: float = 0.1) -> None:
        """Make the targets of every sample that has been searched.

        Args:
            store: Whose targets are made.
            momentum: That its views were averaged with.
        """
        self.variances = None
        if not self.makes_targets:
            return
        rows = (store.counts > 0).any(1).nonzero()[:, 0]
        # Suspects, and what was never searched, keep their annotation and say nothing.
        seen = store.visible & ~store.suspects & (store.counts > 0)
        seen[:, self.freeze] = False
        if self.consensus is not None:
            self._warn_of_few(len(rows))
            self._consensus(store, rows, seen, momentum)
        if self.temporal is not None:
            before = store.found if self.consensus is None else store.targets
            targets = temporal_targets(
                before[rows].double(),
                store.annotations[rows].double(),
                store.found[rows].double(),
                store.sequences[rows],
                store.frame_numbers[rows],
                visible=seen[rows],
                **self.temporal,
            )
            store.targets[rows] = torch.where(
                seen[rows][..., None], targets.float(), store.targets[rows]
            )

    def _consensus(
        self, store: LatentTargetStore, rows: Tensor, seen: Tensor, momentum: float
    ) -> None:
        """Make consensus targets of some rows, chunk by chunk."""
        combined = self._combined(store, rows, seen)

        def read(part: Tensor | slice) -> ConsensusRows:
            chosen = rows[part]
            size = store.face_sizes(chosen).float()[:, None, None]
            observed, noise = store.annotations[chosen] / size, None
            if combined is not None:
                observed, noise = (each[part] for each in combined)
            return ConsensusRows(
                observed,
                store.found[chosen] / size,
                seen[chosen],
                store.spread[chosen] / size**2,
                store.views(momentum, chosen),
                noise,
            )

        def write(part: Tensor | slice, made: Tensor) -> None:
            chosen = rows[part]
            size = store.face_sizes(chosen).float()[:, None, None]
            given = store.annotations[chosen]
            targets = given + (made - given / size) * size
            store.targets[chosen] = torch.where(
                seen[chosen][..., None], targets, store.targets[chosen]
            )

        chosen_options = self.consensus or {}
        by_views = chosen_options.get("evidence") == "views"
        options = ConsensusOptions(
            **chosen_options,
            scatter=store.scatter.covariance(),
            view_covariance=store.scatter.whole() if by_views else None,
            fewest=min(4, int(seen.any(0).sum())),
        )
        model = consensus_by_chunks(len(rows), read, write, options)
        if model is None:
            store.targets[rows] = store.annotations[rows]
        else:
            self.variances = model.annotators, model.network

    def _combined(
        self, store: LatentTargetStore, rows: Tensor, seen: Tensor
    ) -> tuple[Tensor, Tensor] | None:
        """Return what several annotators say together of some rows, in their sizes.

        And the covariances of its errors; None of one annotator.
        """
        if store.opinions is None or len(rows) < 2:
            return None
        points, shown = store.opinions
        size = store.face_sizes(rows).float()[:, None, None]
        options = self.consensus or {}
        observed, noise, _ = combine_annotations(
            points[:, rows] / size,
            store.found[rows] / size,
            shown[:, rows],
            seen[rows],
            **{name: options[name] for name in ("curves", "clip") if name in options},
        )
        return None if noise is None else (observed, noise)

    def deviations(self) -> dict[str, Tensor]:
        """Return the estimated standard deviations after consensus, by region.

        Names are ``latent_noise``, of annotations, and ``latent_network``, of what the
        search finds; with ``_contour`` and so on where regions are known. They are
        root mean squares over landmarks, as shares of the face's size.
        """
        found: dict[str, Tensor] = {}
        for name, variances in zip(("noise", "network"), self.variances or ()):
            for region, landmarks in landmark_groups(len(variances)).items():
                if region not in ("weak", "strong"):
                    end = "" if region == "all" else f"_{region}"
                    found[f"latent_{name}{end}"] = variances[landmarks].mean().sqrt()
        return found

    def _warn_of_few(self, searched: int) -> None:
        if searched < 2 and not self._warned:
            self._warned = True
            print_log(
                "LatentTargetHook(consensus=...) compares samples: while fewer than 2 "
                "have been searched, targets stay at the annotations.",
                logger="current",
                level=logging.WARNING,
            )


def _check(name: str, function: Callable, options: dict, *stand_ins: Tensor) -> None:
    parameters = inspect.signature(function).parameters.values()
    known = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    check_options(
        f"LatentTargetHook({name}=...): unknown option",
        set(known) - {"visible", "spread", "counts", "scatter", "view_covariance"},
        options,
        lambda: function(*stand_ins, **options),
    )
