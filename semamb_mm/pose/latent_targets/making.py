"""How targets are made of what the search found and of the annotations."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Sequence

import torch
from mmengine.logging import print_log
from torch import Tensor

from semamb_mm.functional import consensus_targets, temporal_targets

from .options import check_options
from .store import LatentTargetStore


class TargetMaker:
    """Makes targets of all annotations and all search results together.

    Args:
        consensus: Options of :func:`semamb_mm.functional.consensus_targets`; None:
            the targets are what the search found.
        temporal: Options of :func:`semamb_mm.functional.temporal_targets`; None: each
            frame for itself.
        freeze: Landmarks that keep their annotation.
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
        self._warned = False

    def check(self, store: LatentTargetStore) -> None:
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
        if self.consensus is None and self.temporal is None:
            return
        rows = (store.counts > 0).any(1)
        annotations, found = (
            p[rows].double() for p in (store.annotations, store.found)
        )
        # What was never searched keeps its annotation and says nothing.
        visible = store.visible[rows] & (store.counts[rows] > 0)
        visible[:, self.freeze] = False
        targets = found
        if self.consensus is not None:
            self._warn_of_few(int(rows.sum()))
            size = store.face_sizes(rows)[:, None, None]
            targets = size * consensus_targets(
                annotations / size,
                found / size,
                visible=visible,
                spread=store.spread[rows] / size**2,
                counts=store.views(momentum)[rows],
                **self.consensus,
            )
        if self.temporal is not None:
            targets = temporal_targets(
                targets,
                annotations,
                found,
                store.sequences[rows],
                store.frame_numbers[rows],
                visible=visible,
                **self.temporal,
            )
        store.targets[rows] = torch.where(
            visible[..., None], targets.float(), store.targets[rows]
        )

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
        set(known) - {"visible", "spread", "counts"},
        options,
        lambda: function(*stand_ins, **options),
    )
