from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.dataset import InfiniteSampler
from mmengine.dist import all_gather_object, is_distributed
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.registry import HOOKS

from semamb_mm.faces.landmarks import landmark_groups
from semamb_mm.functional import consensus_targets, temporal_targets
from semamb_mm.pose.heads.semantic_alignment_head import ANCHORS, LatentSearch
from semamb_mm.pose.latent_targets.samples import build_store, leaves, wrappers
from semamb_mm.pose.latent_targets.samples import transforms as transforms_of
from semamb_mm.pose.latent_targets.store import CHECKPOINT_KEY, LatentTargetStore
from semamb_mm.pose.transforms import LoadLatentTargets


@HOOKS.register_module()
class LatentTargetHook(Hook):
    """Alternates the search for latent targets with stock training.

    Owns the :class:`LatentTargetStore`: makes it from the train data set,
    gives it to every :class:`LoadLatentTargets` of the train pipeline, and
    from ``start`` on writes into it what the head's search finds. Under
    :class:`mmengine.runner.EpochBasedTrainLoop` the targets of an epoch take
    effect with the next epoch, together; under iteration-based loops after
    each iteration. All ranks hold the same store. It is saved in the
    checkpoint (key ``latent_targets``) and read back by ``--resume``;
    ``load_from`` alone starts again from the annotations.

    Args:
        start (int): First epoch (or iteration) that searches, from 0: the
            detector must have roughly converged on the annotations by then.
        by_epoch (bool): Whether ``start`` and ``interval`` count epochs.
            Defaults to ``True``.
        interval (int): Search every ``interval`` epochs (or iterations) from
            ``start`` on. Defaults to 1.
        anchor (str): What the prior holds on to: ``'previous'``, the target
            found last (the paper's), or ``'annotation'``, so that no target
            drifts beyond the search's neighbourhood in the whole run.
            Defaults to ``'annotation'``.
        momentum (float): Share of the way to the position just found that a
            target goes, in (0, 1]. 1 replaces it (the paper's); less averages
            over the views and the network's states that a sample was searched
            in: the n-th search of a sample counts ``max(momentum, 1 / n)``,
            so that the first ones count alike. Defaults to 0.1.
        freeze (Sequence[int]): Landmarks that keep their annotation.
        consensus (dict, optional): Make the targets from all annotations and
            all search results together, by
            :func:`semamb_mm.functional.consensus_targets`, which takes these
            options; ``dict()`` for its defaults. Ours, not the paper's: the
            search alone does not know how far to trust the annotation, and the
            data set does. Let the head's search find what the heatmap says
            then: a large ``sigma_prior``. Needs ``anchor='annotation'``.
        temporal (dict, optional): In video, let the targets of neighbouring frames
            agree, after consensus if there is one, by
            :func:`semamb_mm.functional.temporal_targets`, which takes these options;
            ``dict()`` for its defaults. Ours. Needs samples with ``sequence_id`` and
            ``frame_number``, as :class:`Face300VWVideoDataset` gives; those without
            are still images.

    Raises:
        ValueError: On an unknown ``anchor``, a ``freeze`` index that the
            data set lacks, ``temporal`` without neighbouring frames, or a
            checkpoint whose targets are of other data.
        TypeError: If the model's head is not a SemanticAlignmentHead.
    """

    priority = "NORMAL"

    def __init__(
        self,
        start: int,
        by_epoch: bool = True,
        interval: int = 1,
        anchor: str = "annotation",
        momentum: float = 0.1,
        freeze: Sequence[int] = (),
        consensus: dict | None = None,
        temporal: dict | None = None,
    ) -> None:
        if anchor not in ANCHORS:
            raise ValueError(f"anchor must be one of {ANCHORS}, got {anchor!r}")
        if start < 0 or interval < 1:
            raise ValueError(
                f"start must be >= 0 and interval >= 1, got {start} and {interval}"
            )
        if not 0 < momentum <= 1:
            raise ValueError(f"momentum must be in (0, 1], got {momentum}")
        self.start = start
        self.by_epoch = by_epoch
        self.interval = interval
        self.anchor = anchor
        self.momentum = momentum
        self.freeze = tuple(freeze)
        if consensus is not None and anchor != "annotation":
            raise ValueError(
                "consensus weighs the annotations themselves: give "
                f"anchor='annotation' with it, not {anchor!r}"
            )
        self.consensus = consensus
        self.temporal = temporal
        self.store: LatentTargetStore | None = None
        self._resumed_state: dict | None = None
        self._pending: list[LatentSearch] = []

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's targets until the data set is known."""
        state = checkpoint.get(CHECKPOINT_KEY)
        if runner._resume:
            self._resumed_state = state
            if state is None:
                runner.logger.info(
                    "The checkpoint holds no latent targets: they start from "
                    "the annotations."
                )

    def before_train(self, runner: Runner) -> None:
        """Make the store, hand it to the transforms, restore its state."""
        head = _head(runner)
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if self.by_epoch and not by_epoch:
            raise ValueError(
                "LatentTargetHook(by_epoch=True) never starts in an iteration-based "
                "train loop: give start and interval in iterations and by_epoch=False"
            )
        dataset = runner.train_dataloader.dataset
        self.store = build_store(dataset)
        bad = [
            k
            for k in self.freeze
            if not (isinstance(k, int) and 0 <= k < self.store.num_keypoints)
        ]
        if bad:
            raise ValueError(
                f"LatentTargetHook(freeze={list(self.freeze)}): {bad} are no landmark "
                f"of this data set; its indices are 0 to {self.store.num_keypoints - 1}"
            )
        self._combined(self.store.counts == 0)  # a wrong option is an error now
        if self.temporal is not None:
            self._check_neighbours(runner)
        seed = int(runner.seed or 0)
        if self._resumed_state is not None:
            self.store.load_state_dict(self._resumed_state)
            seed = int(self._resumed_state.get("seed", seed))
            self._resumed_state = None
        self.store.clock = (seed, runner.epoch if by_epoch else runner.iter)

        transforms = [t for d in leaves(dataset) for t in transforms_of(d.pipeline)]
        transforms += [t for w in wrappers(dataset) for t in transforms_of(w.pipeline)]
        loaders = [t for t in transforms if isinstance(t, LoadLatentTargets)]
        if not loaders:
            raise ValueError(
                "LatentTargetHook needs dict(type='LoadLatentTargets') in the train "
                "pipeline, after LoadImage"
            )
        for loader in loaders:
            loader.store = self.store
        affine = [t for t in transforms if type(t).__name__ == "TopdownAffine"]
        if not affine:
            raise ValueError(
                "LatentTargetHook needs dict(type='TopdownAffine', ...) in the train "
                "pipeline: it brings targets back through that transform"
            )
        head.use_udp = affine[0].use_udp
        head.anchor = self.anchor
        # An iteration-based loop has started its workers already, with
        # transforms that do not know the store.
        loop = runner.train_loop
        if hasattr(loop, "dataloader_iterator"):
            loader, sampler = loop.dataloader, loop.dataloader.sampler
            loader._iterator = None
            if isinstance(sampler, InfiniteSampler):
                sampler.indices = sampler._indices_of_rank()  # from the start again
            loop.dataloader_iterator = type(loop.dataloader_iterator)(loader)
        runner.logger.info(
            f"Latent targets of {len(self.store)} samples x "
            f"{self.store.num_keypoints} landmarks; search from "
            f"{'epoch' if self.by_epoch else 'iteration'} {self.start} on."
        )

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the clock that augmentation is seeded with."""
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            self.store.clock = (self.store.clock[0], runner.epoch)

    def before_train_iter(self, runner, batch_idx, data_batch=None) -> None:
        """Tell the head whether this iteration searches."""
        elapsed = (runner.epoch if self.by_epoch else runner.iter) - self.start
        _head(runner).searching = elapsed >= 0 and elapsed % self.interval == 0

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        """Collect what the head found."""
        found = _head(runner).pop_search()
        if found is not None:
            found.searched[:, list(self.freeze)] = False
            self._pending.append(found)
        if not isinstance(runner.train_loop, EpochBasedTrainLoop):
            self._commit(runner)
            self.store.clock = (self.store.clock[0], runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Let the epoch's targets take effect on every rank."""
        self._commit(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the store (all types load with ``weights_only=True``)."""
        if self.store is not None:
            checkpoint[CHECKPOINT_KEY] = dict(
                self.store.state_dict(), seed=self.store.clock[0]
            )

    def _commit(self, runner: Runner) -> None:
        found, self._pending = self._pending, []
        merged = [_concatenate(found)] if found else []
        if is_distributed():
            merged = [f for part in all_gather_object(merged) for f in part]
        if not merged:
            return
        everything = _concatenate(merged)
        store = self.store
        searched = everything.searched & store.visible[everything.indices]
        old = store.found[everything.indices]
        nth = store.counts[everything.indices] + 1
        share = nth.float().reciprocal().clamp(min=self.momentum)[:, None, None]
        step = share * (everything.targets.float() - old)
        positions = torch.where(searched[..., None], old + step, old)
        energies = torch.where(
            searched, everything.energies.float(), store.energies[everything.indices]
        )
        unusable = int((searched & ~torch.isfinite(energies)).sum())
        if unusable:
            print_log(
                f"{unusable} landmark searches met heatmaps that are not finite; "
                "these targets stay as they were.",
                logger="current",
                level=30,
            )
        store.update(everything.indices, positions, energies)
        if self.consensus is not None or self.temporal is not None:
            rows = store.counts > 0
            store.targets[rows] = self._combined(rows)
        self._log(runner, everything, searched)

    def _combined(self, rows) -> torch.Tensor:
        """Targets of these samples, from what was found for all of them together."""
        store = self.store
        visible = store.visible[rows]
        visible[:, list(self.freeze)] = False
        targets = store.found[rows].double()
        if self.consensus is not None:
            annotations = store.annotations[rows].double()
            size = _face_size(annotations, store.visible[rows])[:, None, None]
            targets = size * consensus_targets(
                annotations / size, targets / size, visible=visible, **self.consensus
            )
        if self.temporal is not None:
            targets = temporal_targets(
                targets,
                store.annotations[rows].double(),
                store.found[rows].double(),
                store.sequences[rows],
                store.frame_numbers[rows],
                visible=visible,
                **self.temporal,
            )
        return torch.where(visible[..., None], targets.float(), store.targets[rows])

    def _check_neighbours(self, runner: Runner) -> None:
        """Tell how many samples have enough frames beside them."""
        store = self.store
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
        runner.logger.info(
            f"{changed} of {len(store)} samples have frames beside them to agree with."
        )

    def _log(self, runner: Runner, found: LatentSearch, searched) -> None:
        """What this search did, for the log and every visualizer backend.

        Scalars ``train/latent_move`` (and ``_contour``, ``_brows``, ... where the
        landmarks' regions are known): mean distance between target and
        annotation, as a share of the face's size; ``train/latent_at_edge``: share
        of landmarks found at the neighbourhood's edge; ``train/latent_energy``.
        """
        annotations = self.store.annotations[found.indices]
        visible = self.store.visible[found.indices]
        size = _face_size(annotations, visible)
        move = (self.store.targets[found.indices] - annotations).norm(dim=-1)
        move = move / size[:, None]
        if not searched.any():
            return
        scalars = dict(latent_move=move[searched].mean())
        for region, landmarks in landmark_groups(self.store.num_keypoints).items():
            chosen = searched[:, landmarks]
            if region not in ("all", "weak", "strong") and chosen.any():
                moves = move[:, landmarks][chosen]
                scalars[f"latent_move_{region}"] = moves.mean()
        scalars["latent_at_edge"] = found.at_edge[searched].float().mean()
        scalars["latent_energy"] = found.energies[searched].mean()
        for name, value in scalars.items():
            runner.message_hub.update_scalar(f"train/{name}", float(value))
        if isinstance(runner.train_loop, EpochBasedTrainLoop):
            shown = ", ".join(f"{n[7:]} {float(v):.4g}" for n, v in scalars.items())
            runner.logger.info(
                f"Latent targets after epoch {runner.epoch + 1}: {shown}"
            )


def _head(runner: Runner):
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    head = getattr(model, "head", None)
    if not hasattr(head, "pop_search"):
        raise TypeError(
            "LatentTargetHook needs a model with head=dict(type="
            f"'SemanticAlignmentHead', ...), got {type(head).__name__}"
        )
    return head


def _concatenate(parts: list[LatentSearch]) -> LatentSearch:
    return LatentSearch(
        *(torch.cat(p) for p in zip(*(vars(f).values() for f in parts)))
    )


def _face_size(annotations, visible):
    """``(N,)`` geometric mean of the visible landmarks' box sides, pixels."""
    low = annotations.masked_fill(~visible[..., None], float("inf")).amin(1)
    high = annotations.masked_fill(~visible[..., None], float("-inf")).amax(1)
    return (high - low).clamp(min=1e-6).prod(-1).sqrt()
