"""The hook that alternates the search for latent targets with training."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from operator import is_not

from mmengine.dataset import InfiniteSampler
from mmengine.dist import get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import EpochBasedTrainLoop, Runner
from mmpose.registry import HOOKS
from torch import Tensor
from torch.utils.hooks import RemovableHandle

from semamb_mm.pose.heads import in_place_of
from semamb_mm.pose.latent_targets.keeper import TargetKeeper
from semamb_mm.pose.latent_targets.making import TargetMaker
from semamb_mm.pose.latent_targets.options import check_options
from semamb_mm.pose.latent_targets.samples import transforms_of
from semamb_mm.pose.latent_targets.search import (
    ANCHORS,
    BatchSearch,
    SearchResult,
    check_search_names,
    complete_search_options,
)
from semamb_mm.pose.latent_targets.store import CHECKPOINT_KEY, LatentTargetStore
from semamb_mm.pose.latent_targets.views import batch_size_of, number_views
from semamb_mm.pose.latent_targets.weights import check_losses, leave_out

from .train_pipeline import prepare_pipeline


@HOOKS.register_module()
class LatentTargetHook(Hook):
    """Alternate the search for latent targets with stock training.

    Owns the :class:`LatentTargetStore`: makes it from the train data set,
    gives it to every :class:`LoadLatentTargets` of the train pipeline (which it
    inserts if there is none, see :mod:`semamb_mm.pose.hooks.train_pipeline`), and
    from ``start`` on writes into it what the head's search finds. Under
    :class:`mmengine.runner.EpochBasedTrainLoop` the targets of an epoch take
    effect with the next epoch, together; under iteration-based loops after
    each iteration or, with ``consensus`` or ``temporal``, each time that the loop has
    drawn as many samples as the data set has. Rank 0 holds the store and makes the
    targets; each machine has one copy of them. The store is saved in the
    checkpoint (key ``latent_targets``) and read back by ``--resume``;
    ``load_from`` alone starts again from the annotations.

    With ``targets`` training begins with targets that another one, or a tool, has
    finished. Without ``start`` they stay as they are: nothing is searched, and any
    head will do.

    With ``suspects`` labels that are probably wrong weigh nothing in the loss, from the
    first epoch on. They are not searched, consensus does not see them, and a box that
    lies tightly around a sample's landmarks becomes that of the others. It works alone,
    too, with any head.

    Example:
        ```python
        custom_hooks = [
            *_base_.custom_hooks,
            dict(type='LatentTargetHook', start=24, consensus=dict())]
        ```

        On targets that a tool has finished, without the labels that an audit doubts:

        ```python
        custom_hooks = [
            *_base_.custom_hooks,
            dict(type='LatentTargetHook', targets='targets.npz',
                 suspects=dict(file='audit/landmarks.csv'))]
        ```

    Args:
        start (int, optional): First epoch (or iteration) that searches, from 0: the
            detector must have roughly converged on the annotations by then. Needed
            unless ``targets`` or ``suspects`` are given; after ``targets`` the search
            goes on from the views that those were made of.
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
            data set does. Targets move once landmarks have been searched twice: the
            spread over views bounds the network's own error. Needs
            ``anchor='annotation'`` and a ``momentum`` below 1.
        temporal (dict, optional): In video, let the targets of neighbouring frames
            agree, after consensus if there is one, by
            :func:`semamb_mm.functional.temporal_targets`, which takes these options;
            ``dict()`` for its defaults. Ours. Needs samples with ``sequence_id`` and
            ``frame_number``, as :class:`Face300VWVideoDataset` gives; those without
            are still images.
        search (dict, optional): Options of the search that differ from
            ``DEFAULT_SEARCH`` of :mod:`semamb_mm.pose.latent_targets.search`. They
            mean the same at every resolution: lengths are in units of the codec's
            sigma, chi-square is per cell of the patch.

            - ``radius``: half the neighbourhood;
            - ``patch_radius``: half the patch that is compared with the ideal one;
            - ``prior``: how far annotations may be off; one number, or one a
              landmark. Its default is 0.8, and 16/3 with ``consensus``;
            - ``likelihood``: how little a heatmap is trusted, in units of
              sqrt(chi-square per cell); one number, or one a landmark;
            - ``step``: distance of neighbouring candidates, to which the heatmap is
              interpolated. Its default is 2/3, in whole cells where it is more than
              one, and 1/3 for a head with a distribution an axis;
            - ``subcell``: ``'mean'`` of the posterior, the minimising candidate
              (``'none'``, the paper's), or that refined by a ``'parabola'``;
            - ``curves`` and ``prior_across``: lists of landmarks that lie on one
              curve each, and how far annotations may be off across it.
        targets (str, optional): File of finished targets, which take effect from the
            first epoch on: of ``tools/search_targets.py`` or ``tools/cross_fit.py``,
            or a checkpoint of a training with this hook. Samples are found by their
            keys, and annotations are compared. A resumed training goes on with its own
            targets and does not read the file.
        suspects (dict, optional): ``dict(file=...)``, which labels weigh nothing:
            ``landmarks.csv`` of ``tools/analysis/audit_annotations.py`` or the file
            that its review page exports, see
            :func:`semamb_mm.audit.suspects.read_suspects`. With ``subset=True`` it may
            name samples that the train data lacks. A resumed training goes on with its
            own suspects, if it has any, and does not read the file.

    Raises:
        ValueError: On an unknown argument, ``anchor`` or option of the search, options
            of the search here and in the head, a ``freeze`` index that the
            data set lacks, ``temporal`` without neighbouring frames, a head for
            another number of landmarks than the data set's, a checkpoint,
            ``targets`` or ``suspects`` of other data, or suspects where a loss has
            ``use_target_weight=False``.
        TypeError: If the model's head cannot be observed, or without ``start``,
            ``targets`` and ``suspects``.
    """

    # Just after NORMAL: a hook that switches the train pipeline has done so.
    priority = 51

    def __init__(
        self,
        start: int | None = None,
        by_epoch: bool = True,
        interval: int = 1,
        anchor: str = "annotation",
        momentum: float = 0.1,
        freeze: Sequence[int] = (),
        consensus: dict | None = None,
        temporal: dict | None = None,
        search: dict | None = None,
        targets: str | None = None,
        suspects: dict | None = None,
        **unknown,
    ) -> None:
        known = set(inspect.signature(type(self)).parameters) - {"unknown"}
        check_options(
            f"{type(self).__name__}: unknown argument", known, unknown, lambda: None
        )
        if start is None and targets is None and suspects is None:
            raise TypeError(
                f"{type(self).__name__} needs start: the first to search; or finished "
                "targets; or suspects"
            )
        if anchor not in ANCHORS:
            raise ValueError(f"anchor must be one of {ANCHORS}, got {anchor!r}")
        if (start is not None and start < 0) or interval < 1:
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
        if consensus is not None:
            _check_consensus(anchor, momentum)
        self.consensus = consensus
        self.temporal = temporal
        self.maker = TargetMaker(consensus, temporal, self.freeze)
        check_search_names(search, type(self).__name__)
        self.search_options = search
        self.targets = targets
        self.suspects = _checked_suspects(suspects)
        self.keeper: TargetKeeper | None = None
        self.search: BatchSearch | None = None
        self._resumed_state: dict | None = None
        self._observer: RemovableHandle | None = None
        self._heatmaps: Tensor | tuple[Tensor, ...] | None = None
        self._results: list[SearchResult] = []
        self._prepared: list = []
        self._leaves_out = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Keep the checkpoint's targets until the data set is known."""
        state = checkpoint.get(CHECKPOINT_KEY)
        if runner._resume:
            self._resumed_state = state
            if state is None:
                runner.logger.info(
                    "The checkpoint holds no latent targets: they start from "
                    f"{self.targets or 'the annotations'}."
                )

    def before_train(self, runner: Runner) -> None:
        """Make the store, restore its state, hand it to those who read it."""
        head = None
        if self.start is not None:
            head = observed_head(runner)
            self._check_loop(runner)
        dataset = runner.train_dataloader.dataset
        loaders, affine = prepare_pipeline(dataset)
        self._prepared = transforms_of(dataset)
        self.keeper = TargetKeeper(dataset, self.maker, self.momentum)
        if head is not None:
            self._prepare_search(runner, head, affine.use_udp)
        said = self._restore(runner)
        shared = self.keeper.shared
        for loader in loaders:
            loader.connect(shared)
        number_views(runner.train_dataloader, shared, _by_epoch(runner))
        _restart_workers(runner)
        unit = "epoch" if self.by_epoch else "iteration"
        runner.logger.info(
            f"Latent targets of {len(shared)} samples x "
            f"{shared.num_keypoints} landmarks{said}; "
            + ("no search." if head is None else f"search from {unit} {self.start} on.")
        )
        self._leaves_out = bool(shared.suspects.any())
        if self._leaves_out:
            check_losses(runner.model)

    def _prepare_search(self, runner: Runner, head, use_udp: bool) -> None:
        """Make what searches a head's heatmaps, and see that it fits the data."""
        shared = self.keeper.shared
        in_place_of.check_landmarks(
            head, runner.train_dataloader.dataset, shared.num_keypoints
        )
        if self.temporal is not None and self.store is not None:
            self._tell_frames_that_agree(runner)
        self._head = head
        self.search = BatchSearch(
            self._complete_options(head),
            head.search_grid,
            self.anchor,
            use_udp,
            self.freeze,
        )
        self._make_every = 1
        if self.maker.makes_targets and not _by_epoch(runner):
            batch = batch_size_of(runner.train_dataloader) * get_world_size()
            self._make_every = -(-len(shared) // batch)
            runner.logger.info(
                "Latent targets: consensus and agreement over time come every "
                f"{self._make_every} iterations, as many as draw {len(shared)} samples."
            )

    @property
    def store(self) -> LatentTargetStore | None:
        """All that is known of the targets, on rank 0 while training; else None."""
        return None if self.keeper is None else self.keeper.store

    def after_train(self, runner: Runner) -> None:
        """Stop looking at the head's heatmaps if training ended within an iteration."""
        self._stop_looking()

    def before_train_epoch(self, runner: Runner) -> None:
        """Set the clock that augmentation is seeded with.

        Where the train pipeline has been switched, as RTMPose's configs do for their
        last epochs (``mmdet.PipelineSwitchHook``), the new one is prepared too.
        """
        dataset = runner.train_dataloader.dataset
        steps = transforms_of(dataset)
        if len(steps) != len(self._prepared) or any(map(is_not, steps, self._prepared)):
            loaders, affine = prepare_pipeline(dataset)
            self._prepared = transforms_of(dataset)
            for loader in loaders:
                loader.connect(self.keeper.shared)
            if self.search is not None:
                self.search.use_udp = affine.use_udp
        if _by_epoch(runner):
            self._set_clock(runner.epoch)

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None
    ) -> None:
        """Take suspects' weights, and look at heatmaps if this iteration searches."""
        if self._leaves_out:
            leave_out(data_batch["data_samples"], self.keeper.shared.suspects)
        if self._is_due(runner):
            observe = self._head.register_heatmap_observer(self._keep_heatmaps)
            self._observer = observe

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch=None, outputs=None
    ) -> None:
        """Search the heatmaps that the head has just predicted."""
        if self._observer is not None:
            samples = data_batch["data_samples"]
            self._results.append(self.search(self._heatmaps, samples).compact())
        searched = self._observer is not None
        self._stop_looking()
        if not _by_epoch(runner):
            if searched:
                # Or since the last search, where not every iteration searches.
                passed = (runner.iter + 1) % self._make_every < self.interval
                self._commit(runner, make=passed)
            self._set_clock(runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        """Let the epoch's targets take effect on every rank."""
        # Another clock than the epochs' may have searched in parts of it.
        if _by_epoch(runner) and (self._is_due(runner) or not self.by_epoch):
            self._commit(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Add the store (all types load with ``weights_only=True``)."""
        if self.store is not None:
            checkpoint[CHECKPOINT_KEY] = dict(
                self.store.state_dict(), seed=self.keeper.shared.clock[0]
            )

    def _is_due(self, runner: Runner) -> bool:
        """Return whether this epoch or iteration searches."""
        if self.start is None:
            return False
        elapsed = (runner.epoch if self.by_epoch else runner.iter) - self.start
        return elapsed >= 0 and elapsed % self.interval == 0

    def _set_clock(self, moment: int) -> None:
        shared = self.keeper.shared
        shared.clock = (shared.clock[0], moment)

    def _keep_heatmaps(self, heatmaps: Tensor | tuple[Tensor, ...]) -> None:
        if isinstance(heatmaps, Tensor):
            self._heatmaps = heatmaps.detach()
        else:
            self._heatmaps = tuple(profile.detach() for profile in heatmaps)

    def _stop_looking(self) -> None:
        """Make iterations that do not search cost nothing."""
        if self._observer is not None:
            self._observer.remove()
        self._observer, self._heatmaps = None, None

    def _complete_options(self, head) -> dict:
        """Return the search's options, from here or, deprecated, from the head."""
        name, old = type(self).__name__, getattr(head, "search", None)
        if old is None:
            return complete_search_options(
                self.search_options,
                head.search_grid,
                self.keeper.shared.num_keypoints,
                name,
                consensus=self.consensus is not None,
            )
        if self.search_options is not None:
            raise ValueError(
                f"{type(head).__name__} and {name} both have search=dict(...): the "
                "head's is deprecated, leave it out"
            )
        return old

    def _check_loop(self, runner: Runner) -> None:
        if self.by_epoch and not _by_epoch(runner):
            raise ValueError(
                "LatentTargetHook(by_epoch=True) never starts in an iteration-based "
                "train loop: give start and interval in iterations and by_epoch=False"
            )
        unit = "epochs" if self.by_epoch else "iters"
        total = getattr(runner, f"max_{unit}")
        if self.start >= total:
            runner.logger.warning(
                f"LatentTargetHook never searches: start={self.start} is not below the "
                f"{total} {unit} of the training (train_cfg.max_{unit})"
            )

    def _tell_frames_that_agree(self, runner: Runner) -> None:
        changed = self.maker.frames_that_agree(self.store)
        runner.logger.info(
            f"{changed} of {len(self.store)} samples have frames beside them to agree "
            "with."
        )

    def _restore(self, runner: Runner) -> str:
        """Take over the checkpoint's targets and seed, or the file's targets.

        Returns:
            Where they are from, for the log.
        """
        seed, said = int(runner.seed or 0), ""
        suspects = self.suspects
        if self._resumed_state is not None:
            self.keeper.restore(self._resumed_state)
            seed = int(self._resumed_state.get("seed", seed))
            if "suspects" in self._resumed_state:
                suspects = {}
            self._resumed_state = None
        elif self.targets is not None:
            self.keeper.adopt(self.targets)
            said = f", of {self.targets}"
        suspects_said = self.keeper.leave_out(**suspects)
        if suspects_said:
            runner.logger.info(suspects_said)
        moment = runner.epoch if _by_epoch(runner) else runner.iter
        self.keeper.shared.clock = (seed, moment)
        return said

    def _commit(self, runner: Runner, make: bool = True) -> None:
        """Make targets of the results of all ranks, and log what they did."""
        results, self._results = self._results, []
        figures = self.keeper.commit(results, make=make)
        for name, value in figures.items():
            runner.message_hub.update_scalar(f"train/{name}", value)
        if figures and _by_epoch(runner):
            shown = ", ".join(f"{n[7:]} {v:.4g}" for n, v in figures.items())
            runner.logger.info(
                f"Latent targets after epoch {runner.epoch + 1}: {shown}"
            )


def _check_consensus(anchor: str, momentum: float) -> None:
    """Refuse options that consensus cannot do with."""
    if anchor != "annotation":
        raise ValueError(
            "consensus weighs the annotations themselves: give "
            f"anchor='annotation' with it, not {anchor!r}"
        )
    if momentum == 1:
        raise ValueError(
            "consensus needs several views to tell the network's own error from "
            "the annotators', and momentum=1 keeps one: give less with it"
        )


def _checked_suspects(suspects: dict | None) -> dict:
    """Return the options of ``LatentTargetHook(suspects=...)``, if there are any."""
    if suspects is None:
        return {}
    check_options(
        "LatentTargetHook(suspects=...): unknown option",
        ["file", "subset"],
        suspects,
        lambda: None,
    )
    if not suspects.get("file"):
        raise ValueError(
            f"LatentTargetHook(suspects={suspects!r}) names no file: give "
            "suspects=dict(file='audit/landmarks.csv')"
        )
    return dict(suspects, file=str(suspects["file"]))


def _by_epoch(runner: Runner) -> bool:
    return isinstance(runner.train_loop, EpochBasedTrainLoop)


def observed_head(runner: Runner):
    """Return the head of a runner's model, whose heatmaps can be observed.

    Raises:
        TypeError: If the model has another one.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    return in_place_of.observed_head(model)


def _restart_workers(runner: Runner) -> None:
    """Start the data loader of an iteration-based loop again.

    It has started its workers already, with transforms that do not know the store.
    """
    loop = runner.train_loop
    if not hasattr(loop, "dataloader_iterator"):
        return
    loader, sampler = loop.dataloader, loop.dataloader.sampler
    loader._iterator = None
    if isinstance(sampler, InfiniteSampler):
        sampler.indices = sampler._indices_of_rank()  # from the start again
    loop.dataloader_iterator = type(loop.dataloader_iterator)(loader)
