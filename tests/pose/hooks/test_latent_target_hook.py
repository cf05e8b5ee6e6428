import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, init_default_scope
from mmengine.runner import Runner
from mmpose.registry import DATASETS

from semamb_mm.functional import consensus_targets, temporal_targets
from semamb_mm.pose.hooks.latent_target_hook import LatentTargetHook, observed_head
from semamb_mm.pose.latent_targets import keeper
from semamb_mm.pose.latent_targets.making import TargetMaker
from semamb_mm.pose.latent_targets.search import (
    PRIOR_ALONE,
    PRIOR_WITH_CONSENSUS,
    SearchResult,
)
from semamb_mm.pose.latent_targets.store import LatentTargetStore
from semamb_mm.pose.latent_targets.targets_file import write_targets
from tests import ROOT
from tests.pose.conftest import CODEC, tiny_config


def hook_of(runner) -> LatentTargetHook:
    return next(h for h in runner.hooks if isinstance(h, LatentTargetHook))


def hooks(**options):
    return [dict(type="LatentTargetHook", **options)]


def weights(runner):
    return torch.cat([p.detach().flatten() for p in runner.model.state_dict().values()])


def test_targets_move_only_from_start_on_and_are_logged(make_runner):
    @HOOKS.register_module(force=True)
    class RecordCounts(Hook):
        priority = "LOW"
        counts = []

        def after_train_epoch(self, runner):
            self.counts.append(hook_of(runner).store.counts.amax(1).tolist())

    RecordCounts.counts = []
    custom = [*hooks(start=1, interval=2), dict(type="RecordCounts")]
    runner = make_runner(custom_hooks=custom, train_cfg=dict(max_epochs=4))
    runner.train()
    assert RecordCounts.counts == [[0] * 6, [1] * 6, [1] * 6, [2] * 6]
    store = hook_of(runner).store
    assert (store.targets != store.annotations).any()
    assert torch.isfinite(store.targets).all()
    logged = runner.message_hub.log_scalars
    size = store.annotations.amax(1) - store.annotations.amin(1)
    moves = (store.targets - store.annotations).norm(dim=-1)
    moves = moves / size.prod(-1).sqrt()[:, None]
    for name, landmarks in (("", slice(0, 68)), ("_contour", slice(0, 17))):
        shown = logged[f"train/latent_move{name}"].current()
        # Landmarks that the last view cut off were not searched in it.
        assert shown == pytest.approx(float(moves[:, landmarks].mean()), rel=0.1)
    for name in ("latent_move_eyes", "latent_at_edge", "latent_energy"):
        assert f"train/{name}" in logged
    (log,) = Path(runner.work_dir).glob("*/*.log")
    assert "Latent targets after epoch 4: move" in log.read_text()


def test_iterations_that_do_not_search_do_not_look_at_heatmaps(make_runner):
    @HOOKS.register_module(force=True)
    class CountObservers(Hook):
        priority = "LOW"
        counts = []

        def before_train_iter(self, runner, batch_idx, data_batch=None):
            self.counts.append(len(runner.model.head._observers))

    CountObservers.counts = []
    custom = [*hooks(start=1), dict(type="CountObservers")]
    runner = make_runner(custom_hooks=custom, train_cfg=dict(max_epochs=2))
    runner.train()
    assert CountObservers.counts == [0, 0, 1, 1]
    assert not runner.model.head._observers


@pytest.mark.parametrize(
    ("stock", "inner", "message"),
    [
        ("HeatmapHead", None, "give model.head.type='SemanticAlignmentHead', with the"),
        ("RTMCCHead", None, "give model.head.type='SemanticAlignmentRTMCCHead'"),
        ("MSPNHead", None, "give model.head.type='SemanticAlignmentMSPNHead'"),
        ("VisPredictHead", "HeatmapHead", "give model.head.pose_cfg.type='Semantic"),
        ("RegressionHead", None, "no type that takes its place.*Which heads work"),
    ],
)
def test_a_head_that_cannot_be_observed_is_named_with_what_to_give(
    stock, inner, message
):
    head = type(stock, (), {})()
    if inner is not None:
        head.pose_head = type(inner, (), {})()
    with pytest.raises(TypeError, match=f"type='{inner or stock}'.*{message}"):
        observed_head(SimpleNamespace(model=SimpleNamespace(head=head)))


def test_frozen_landmarks_stay(make_runner):
    runner = make_runner(custom_hooks=hooks(start=0, freeze=[0, 40]))
    runner.train()
    assert hook_of(runner).search.options["prior"] == PRIOR_ALONE
    store = hook_of(runner).store
    moved = (store.targets != store.annotations).any(-1).any(0)
    assert not moved[0] and not moved[40] and moved[1:40].all()


def test_annotation_anchor_bounds_the_whole_run(make_runner):
    runner = make_runner(
        custom_hooks=hooks(
            start=0, anchor="annotation", search=dict(radius=2 / 3, prior=1e6)
        ),
        train_cfg=dict(max_epochs=4),
    )
    runner.train()
    assert hook_of(runner).search.anchor == "annotation"
    store = hook_of(runner).store
    size = (store.annotations.amax(1) - store.annotations.amin(1)).amax(-1)
    # A cell in image pixels is at most box x padding x largest scale / heatmap size.
    cell = size * 1.25 * 1.5 / 32
    limit = (1.5 * 2**0.5 * cell)[:, None]
    moved = (store.targets - store.annotations).norm(dim=-1)
    assert (moved <= limit).all() and moved.max() > 0


@pytest.mark.parametrize(
    "num_workers, options",
    [
        (0, dict(anchor="previous")),
        (1, dict(anchor="annotation")),
        (1, dict(consensus=dict(shrinkage=0.5))),
        (1, dict(consensus=dict(shrinkage=0.5), temporal=dict(window=3))),
    ],
)
def test_resumed_training_equals_uninterrupted(
    make_runner, tmp_path, num_workers, options
):
    changes = dict(
        custom_hooks=hooks(start=1, **options),
        train_dataloader=dict(
            num_workers=num_workers, persistent_workers=num_workers > 0
        ),
    )
    if "temporal" in options:
        changes["train_dataloader"]["dataset"] = video_faces()
    whole = make_runner(tmp_path / "whole", train_cfg=dict(max_epochs=4), **changes)
    whole.train()
    first = make_runner(tmp_path / "parts", train_cfg=dict(max_epochs=4), **changes)
    checkpoint = tmp_path / "whole" / "epoch_2.pth"
    state = torch.load(checkpoint, weights_only=True)
    assert (state["latent_targets"]["counts"].amax(1) == 1).all()
    first._load_from, first._resume = str(checkpoint), True
    first.train()
    assert first.epoch == 4
    assert torch.equal(weights(first), weights(whole))
    assert torch.equal(hook_of(first).store.targets, hook_of(whole).store.targets)
    assert torch.equal(hook_of(first).store.counts, hook_of(whole).store.counts)


def test_consensus_makes_the_targets_of_what_was_found(make_runner):
    contour = [list(range(17))]
    consensus = dict(curves=contour, sliding=contour, shrinkage=0.5)
    # Where its views agree, an untrained network has no error of its own.
    runner = make_runner(
        custom_hooks=hooks(start=1, consensus=consensus, freeze=[0, 40]),
        train_cfg=dict(max_epochs=3),
        train_dataloader=dict(batch_size=6, dataset=dict(pipeline=same_view())),
        optim_wrapper=dict(optimizer=dict(lr=1e-9)),
    )
    runner.train()
    assert hook_of(runner).search.options["prior"] == PRIOR_WITH_CONSENSUS
    store = hook_of(runner).store
    moved = (store.targets != store.annotations).any(-1).any(0)
    assert not moved[0] and not moved[40] and moved[1:40].all()
    visible = store.visible & (store.counts > 0)
    visible[:, [0, 40]] = False
    box = store.annotations.amax(1) - store.annotations.amin(1)
    size = box.prod(-1).sqrt()[:, None, None].double()
    expected = consensus_targets(
        store.annotations / size,
        store.found / size,
        visible=visible,
        spread=store.spread / size**2,
        counts=store.counts,
        **consensus,
    )
    torch.testing.assert_close(store.targets, (expected * size).float())


def same_view():
    """The tiny pipeline without augmentation."""
    pipeline = tiny_config("")["train_dataloader"]["dataset"]["pipeline"]
    return [t for t in pipeline if "Random" not in t["type"]]


def video_faces():
    """Registers two videos of five frames each, and two still faces."""

    @DATASETS.register_module(force=True)
    class VideoOfFaces(DATASETS.get("SyntheticFaceDataset")):
        def load_data_list(self):
            data_list = super().load_data_list()
            for i, info in enumerate(data_list[:10]):
                info.update(sequence_id=f"v{i % 2}", frame_number=1 + i // 2)
            return data_list

    return dict(type="VideoOfFaces", num_samples=12)


@pytest.mark.parametrize(
    "consensus", [None, dict(curves=[list(range(17))], shrinkage=0.5)]
)
def test_frames_of_a_video_agree(make_runner, consensus):
    runner = make_runner(
        custom_hooks=hooks(
            start=1, freeze=[0], consensus=consensus, temporal=dict(window=3)
        ),
        train_dataloader=dict(dataset=video_faces()),
        train_cfg=dict(max_epochs=3),
    )
    runner.train()
    store = hook_of(runner).store
    before = store.found.double()
    visible = store.visible & (store.counts > 0)
    visible[:, 0] = False
    if consensus:
        box = store.annotations.amax(1) - store.annotations.amin(1)
        size = box.prod(-1).sqrt()[:, None, None].double()
        before = size * consensus_targets(
            store.annotations / size,
            before / size,
            visible=visible,
            spread=store.spread / size**2,
            counts=store.counts,
            **consensus,
        )
    rows = torch.arange(10)
    expected = temporal_targets(
        before[:10],
        store.annotations[:10].double(),
        store.found[:10].double(),
        rows % 2,
        rows // 2,
        window=3,
        visible=visible[:10],
    )
    assert (expected - before[:10])[:, 1:].abs().max() > 0.05
    torch.testing.assert_close(
        store.targets[:, 1:],
        torch.cat((expected, before[10:]))[:, 1:].float(),
        rtol=0,
        atol=1e-3,
    )
    assert torch.equal(store.targets[:, 0], store.annotations[:, 0])


def test_before_the_search_annotations_of_a_video_stay(make_runner):
    runner = make_runner(
        custom_hooks=hooks(start=9, temporal=dict()),
        train_dataloader=dict(dataset=video_faces()),
    )
    runner.train()
    store = hook_of(runner).store
    assert torch.equal(store.targets, store.annotations)
    (log,) = Path(runner.work_dir).glob("*/*.log")
    assert "10 of 12 samples have frames beside them" in log.read_text()


def test_other_data_is_refused_on_resume_and_ignored_by_load_from(
    make_runner, tmp_path
):
    make_runner(tmp_path / "a").train()
    checkpoint = str(tmp_path / "a" / "epoch_2.pth")
    other = dict(train_dataloader=dict(dataset=dict(seed=5)))
    resumed = make_runner(tmp_path / "b", **other)
    resumed._load_from, resumed._resume = checkpoint, True
    with pytest.raises(ValueError, match="'synthetic/seed0/000000'.*'synthetic/seed5"):
        resumed.train()
    loaded = make_runner(tmp_path / "c", custom_hooks=hooks(start=99), **other)
    loaded._load_from = checkpoint
    loaded.train()
    store = hook_of(loaded).store
    assert torch.equal(store.targets, store.annotations)


def test_plain_checkpoint_resumes_from_the_annotations(make_runner, tmp_path):
    make_runner(tmp_path / "plain", custom_hooks=[]).train()
    runner = make_runner(
        tmp_path / "b", custom_hooks=hooks(start=0), train_cfg=dict(max_epochs=3)
    )
    runner._load_from = str(tmp_path / "plain" / "epoch_2.pth")
    runner._resume = True
    runner.train()
    assert hook_of(runner).store.counts.amax(1).tolist() == [1] * 6


@pytest.fixture
def finished(make_runner, tmp_path):
    """A finished training's runner, and its checkpoint."""
    runner = make_runner(
        tmp_path / "finished", custom_hooks=hooks(start=0, consensus=CONSENSUS)
    )
    runner.train()
    store = hook_of(runner).store
    store.targets += 1 + torch.arange(68)[:, None]  # consensus trusts it with nothing
    checkpoint = tmp_path / "finished" / "moved.pth"
    torch.save(dict(state_dict={}, latent_targets=store.state_dict()), checkpoint)
    return runner, str(checkpoint)


STOCK_HEAD = dict(
    _delete_=True,
    type="HeatmapHead",
    in_channels=8,
    out_channels=68,
    deconv_out_channels=None,
    decoder=CODEC,
)


@pytest.mark.parametrize("kind", ["checkpoint", "file"])
def test_finished_targets_train_any_head_from_the_first_epoch(
    make_runner, finished, tmp_path, kind
):
    before, targets = finished
    if kind == "file":
        targets = str(tmp_path / "targets.npz")
        write_targets(targets, hook_of(before).store, dict(tool="a test"))
    trained_on = []

    @HOOKS.register_module(force=True)
    class RecordTargets(Hook):
        def before_train_iter(self, runner, batch_idx, data_batch=None):
            for sample in data_batch["data_samples"]:
                row = int(sample.gt_instances.latent_index[0])
                trained_on.append((row, sample.gt_instances.latent_keypoints[0]))

    custom = [*hooks(targets=targets, freeze=[3]), dict(type="RecordTargets")]
    runner = make_runner(
        tmp_path / "again", custom_hooks=custom, model=dict(head=STOCK_HEAD)
    )
    runner.train()
    store = hook_of(runner).store
    expected = hook_of(before).store.targets.clone()
    expected[:, 3] = store.annotations[:, 3]
    assert torch.equal(store.targets, expected)
    assert (store.targets != store.annotations).any(-1).all(0).sum() == 67
    assert len(trained_on) == 12
    for row, points in trained_on:
        assert torch.equal(torch.from_numpy(points), expected[row])
    state = torch.load(tmp_path / "again" / "epoch_1.pth", weights_only=True)
    assert torch.equal(state["latent_targets"]["targets"], expected)
    (log,) = Path(runner.work_dir).glob("*/*.log")
    assert f"68 landmarks, of {targets}; no search." in log.read_text()


@pytest.mark.parametrize("start", [None, 2])
def test_training_on_finished_targets_resumes_exactly(
    make_runner, finished, tmp_path, start
):
    before, targets = finished
    changes = dict(
        custom_hooks=hooks(targets=targets, start=start), train_cfg=dict(max_epochs=3)
    )
    whole = make_runner(tmp_path / "whole", **changes)
    whole.train()
    rest = make_runner(tmp_path / "rest", **changes)
    rest._load_from, rest._resume = str(tmp_path / "whole" / "epoch_1.pth"), True
    Path(targets).unlink()  # no longer needed
    rest.train()
    assert torch.equal(weights(rest), weights(whole))
    store = hook_of(rest).store
    for name in ("targets", "found", "counts", "spread"):
        assert torch.equal(getattr(store, name), getattr(hook_of(whole).store, name))
    # A search goes on from the two views of before.
    assert store.counts.amax() == 2 + (start is not None)


def test_finished_targets_of_other_data_are_refused_before_training(
    make_runner, finished, tmp_path
):
    _, targets = finished
    other = make_runner(
        tmp_path / "other",
        custom_hooks=hooks(targets=targets),
        train_dataloader=dict(dataset=dict(seed=5)),
    )
    message = "moved.pth has no targets for sample 'synthetic/seed5/000000'.* 6 of 6"
    with pytest.raises(ValueError, match=message):
        other.train()
    noise = dict(train_dataloader=dict(dataset=dict(noise="heavy")))
    noisy = make_runner(tmp_path / "b", custom_hooks=hooks(targets=targets), **noise)
    with pytest.raises(ValueError, match="moved.pth has targets of another annotation"):
        noisy.train()


SUSPECTS = [(0, k) for k in range(68)] + [(1, 5), (1, 36), (4, 60)]


def suspects_file(folder, places=SUSPECTS):
    rows = [f"synthetic/seed0/{row:06d},{k}" for row, k in places]
    path = folder / "suspects.csv"
    path.write_text("\n".join(["sample,landmark", *rows, ""]))
    return dict(file=str(path))


def displaced_faces(folder, shift):
    """The tiny faces, their suspects annotated elsewhere."""

    @DATASETS.register_module(force=True)
    class DisplacedFaces(DATASETS.get("SyntheticFaceDataset")):
        def __init__(self, shift, **options):
            self.shift = shift
            super().__init__(**options)

        def load_data_list(self):
            data_list = super().load_data_list()
            for row, k in SUSPECTS:
                data_list[row]["keypoints"][0, k] += self.shift
            return data_list

    return dict(
        train_dataloader=dict(dataset=dict(type="DisplacedFaces", shift=shift)),
        custom_hooks=hooks(
            suspects=suspects_file(folder), start=1, consensus=dict(shrinkage=0.5)
        ),
        train_cfg=dict(max_epochs=3),
    )


def test_training_does_not_see_where_suspects_are_annotated(make_runner, tmp_path):
    changes = displaced_faces(tmp_path, 0)
    changes["custom_hooks"] = hooks(suspects=suspects_file(tmp_path))
    changes["train_cfg"] = dict(max_epochs=1)
    trained = []
    for shift in (0, 3):
        changes["train_dataloader"]["dataset"]["shift"] = shift
        runner = make_runner(
            tmp_path / str(shift), **changes, model=dict(head=STOCK_HEAD)
        )
        runner.train()
        trained.append(weights(runner))
    assert torch.isfinite(trained[0]).all()
    assert torch.equal(*trained)
    (log,) = Path(runner.work_dir).glob("*/*.log")
    assert (
        f"Suspects of {tmp_path / 'suspects.csv'}: 71 of 408 labels (17.40%) weigh "
        "nothing in the loss; 1 of 6 samples have no other." in log.read_text()
    )


def test_suspects_are_not_searched_and_resume_exactly(make_runner, tmp_path):
    changes = displaced_faces(tmp_path, 3)
    whole = make_runner(tmp_path / "whole", **changes)
    whole.train()
    store, left_out = hook_of(whole).store, torch.zeros(6, 68, dtype=torch.bool)
    left_out[tuple(torch.tensor(SUSPECTS).T)] = True
    assert torch.equal(store.suspects, left_out)
    assert not store.counts[left_out].any() and store.counts[~left_out].any()
    assert torch.equal(store.targets[left_out], store.annotations[left_out])
    checkpoint = tmp_path / "whole" / "epoch_2.pth"
    state = torch.load(checkpoint, weights_only=True)["latent_targets"]
    assert torch.equal(state["suspects"], left_out)
    rest = make_runner(tmp_path / "rest", **changes)
    rest._load_from, rest._resume = str(checkpoint), True
    (tmp_path / "suspects.csv").unlink()  # no longer needed
    rest.train()
    assert torch.equal(weights(rest), weights(whole))
    for name in ("suspects", "targets", "found", "counts", "spread", "energies"):
        assert torch.equal(getattr(hook_of(rest).store, name), getattr(store, name))
    (log,) = Path(rest.work_dir).glob("*/*.log")
    assert "Suspects of the checkpoint: 71 of 408 labels" in log.read_text()


def test_bad_suspects_are_named_before_training(make_runner, tmp_path):
    with pytest.raises(ValueError, match=r"unknown option \['files'\].*mean 'file'"):
        LatentTargetHook(suspects=dict(files="suspects.csv"))
    with pytest.raises(ValueError, match="names no file: give suspects=dict"):
        LatentTargetHook(suspects=dict())

    def train(places, **changes):
        given = suspects_file(tmp_path, places)
        make_runner(custom_hooks=hooks(suspects=given), **changes).train()

    message = "suspects.csv, line 2: .* 'synthetic/seed0/000006': .*no such sample"
    with pytest.raises(ValueError, match=message):
        train([(6, 0)])
    loss = dict(type="KeypointMSELoss", use_target_weight=False)
    with pytest.raises(ValueError, match="KeypointMSELoss at model.head.*_weight=Fal"):
        train([(5, 0)], model=dict(head=dict(STOCK_HEAD, loss=loss)))
    assert not list(tmp_path.glob("*.pth"))


def test_checkpoint_tests_without_the_train_data(make_runner, tmp_path):
    make_runner(tmp_path / "a").train()
    test = make_runner(
        tmp_path / "b",
        test_dataloader=dict(
            batch_size=3,
            num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=False),
            dataset=dict(
                type="SyntheticFaceDataset",
                num_samples=3,
                image_size=64,
                test_mode=True,
                pipeline=[
                    dict(type="LoadImage"),
                    dict(type="GetBBoxCenterScale"),
                    dict(type="TopdownAffine", input_size=(64, 64)),
                    dict(type="PackPoseInputs"),
                ],
            ),
        ),
        test_evaluator=dict(type="FaceNME"),
        test_cfg=dict(),
    )
    test._load_from = str(tmp_path / "a" / "epoch_2.pth")
    metrics = test.test()
    assert metrics["NME/inter_ocular"] > 0


@pytest.mark.parametrize("num_workers", [0, 1])
def test_iteration_based_loops(make_runner, num_workers):
    runner = make_runner(
        custom_hooks=hooks(start=2, by_epoch=False),
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=6, val_interval=99),
        train_dataloader=dict(
            num_workers=num_workers,
            persistent_workers=num_workers > 0,
            sampler=dict(type="InfiniteSampler", shuffle=False),
        ),
        default_hooks=dict(checkpoint=dict(by_epoch=False, interval=6)),
        log_processor=dict(by_epoch=False),
    )
    runner.train()
    store = hook_of(runner).store
    assert store.counts.amax(1).sum() == 4 * 3
    assert (store.targets != store.annotations).any()


@pytest.mark.parametrize(("interval", "searched"), [(1, 5), (3, 2)])
def test_iteration_based_loops_make_targets_once_a_pass(
    make_runner, monkeypatch, interval, searched
):
    made = []
    monkeypatch.setattr(TargetMaker, "apply", lambda self, *args: made.append(args))
    runner = make_runner(
        custom_hooks=hooks(
            start=2 + interval // 3, by_epoch=False, interval=interval, consensus=dict()
        ),
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=7, val_interval=99),
        train_dataloader=dict(
            batch_size=2, sampler=dict(type="InfiniteSampler", shuffle=False)
        ),
        log_processor=dict(by_epoch=False),
    )
    runner.train()
    # After the third and the sixth, or the fourth and the seventh, past those.
    assert len(made) == 2
    assert hook_of(runner).store.counts.amax(1).sum() == searched * 2
    assert torch.equal(made[0][0].targets, made[0][0].annotations)
    (log,) = Path(runner.work_dir).glob("*/*.log")
    assert "every 3 iterations, as many as draw 6 samples" in log.read_text()


def test_consensus_of_one_sample_leaves_the_targets_and_warns_once(make_runner):
    runner = make_runner(
        custom_hooks=hooks(start=0, by_epoch=False, consensus=dict()),
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=3, val_interval=99),
        train_dataloader=dict(
            batch_size=1,
            dataset=dict(num_samples=1),
            sampler=dict(type="InfiniteSampler", shuffle=False),
        ),
        log_processor=dict(by_epoch=False),
    )
    runner.train()
    store = hook_of(runner).store
    assert store.counts.amax() == 3
    assert torch.equal(store.targets, store.annotations)
    (log,) = Path(runner.work_dir).glob("*/*.log")
    assert log.read_text().count("fewer than 2 have been searched") == 1


def test_epochs_in_an_iteration_based_loop_are_refused(make_runner):
    loop = dict(_delete_=True, by_epoch=False, max_iters=2, val_interval=99)
    runner = make_runner(custom_hooks=hooks(start=1), train_cfg=loop)
    with pytest.raises(ValueError, match="by_epoch=False"):
        runner.train()


@pytest.mark.parametrize(
    "start, by_epoch, loop, said",
    [
        (2, True, dict(max_epochs=2), "start=2 is not below the 2 epochs"),
        (1, True, dict(max_epochs=2), None),
        (99, False, dict(max_epochs=2), "start=99 is not below the"),
        (
            3,
            False,
            dict(_delete_=True, by_epoch=False, max_iters=3, val_interval=99),
            "start=3 is not below the 3 iters",
        ),
    ],
)
def test_a_search_that_never_starts_is_warned_of_first(
    make_runner, monkeypatch, start, by_epoch, loop, said
):
    runner = make_runner(
        custom_hooks=hooks(start=start, by_epoch=by_epoch),
        train_cfg=loop,
        log_processor=dict(by_epoch=loop.get("by_epoch", True)),
    )
    warnings = []
    monkeypatch.setattr(runner.logger, "warning", warnings.append)
    hook_of(runner)._check_loop(runner)  # of before_train
    assert [said in text for text in warnings] == ([True] if said else [])


def test_unknown_arguments_are_named_with_the_known_ones(make_runner):
    with pytest.raises(ValueError) as caught:
        make_runner(custom_hooks=[dict(type="LatentTargetHook", strat=3)])
    text = str(caught.value)
    assert "unknown argument ['strat']" in text and "did you mean 'start'?" in text
    assert "'consensus'" in text and "'momentum'" in text and "unknown'" not in text
    with pytest.raises(TypeError, match="needs start"):
        LatentTargetHook()
    with pytest.raises(ValueError, match="did you mean 'shrinkage'"):
        make_runner(custom_hooks=hooks(start=0, consensus=dict(shrinkge=1))).train()
    with pytest.raises(ValueError, match="did you mean 'likelihood'"):
        LatentTargetHook(start=0, search=dict(liklihood=1))


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_gradient_accumulation_and_mixed_precision(make_runner, monkeypatch, dtype):
    wrapper = dict(type="OptimWrapper", accumulative_counts=2)
    if dtype == "bfloat16":
        # MMEngine refuses mixed precision without a GPU; autocast itself runs.
        module = "mmengine.optim.optimizer.amp_optimizer_wrapper.is_cuda_available"
        monkeypatch.setattr(module, lambda: True)
        wrapper.update(type="AmpOptimWrapper", dtype=dtype, loss_scale=1.0)
    runner = make_runner(optim_wrapper=wrapper)
    runner.train()
    store = hook_of(runner).store
    assert store.counts.amax(1).tolist() == [2] * 6
    assert torch.isfinite(store.targets).all() and torch.isfinite(weights(runner)).all()


def test_unannotated_landmarks_are_never_searched(make_runner):
    @DATASETS.register_module(force=True)
    class HalfAnnotatedFaces(DATASETS.get("SyntheticFaceDataset")):
        def load_data_list(self):
            data_list = super().load_data_list()
            for info in data_list:
                info["keypoints_visible"][0, ::2] = 0
            return data_list

    runner = make_runner(train_dataloader=dict(dataset=dict(type="HalfAnnotatedFaces")))
    runner.train()
    store = hook_of(runner).store
    moved = (store.targets != store.annotations).any(-1).any(0)
    assert not moved[::2].any() and moved[1::2].all()


@pytest.mark.parametrize("wrapper", ["Repeat", "Concat", "Combined"])
def test_wrapped_data_sets(make_runner, wrapper):
    leaf = tiny_config("x")["train_dataloader"]["dataset"].to_dict()
    other = dict(leaf, seed=4)
    dataset = dict(
        Repeat=dict(type="RepeatDataset", times=2, dataset=leaf),
        Concat=dict(type="ConcatDataset", datasets=[leaf, other]),
        Combined=dict(
            type="CombinedDataset",
            metainfo=dict(from_file="configs/_base_/datasets/300w.py"),
            datasets=[dict(leaf, pipeline=[]), dict(other, pipeline=[])],
            pipeline=leaf["pipeline"],
        ),
    )[wrapper]
    runner = make_runner(
        train_dataloader=dict(dataset=dict(_delete_=True, **dataset)),
        train_cfg=dict(max_epochs=1),
    )
    runner.train()
    store = hook_of(runner).store
    assert len(store) == (6 if wrapper == "Repeat" else 12)
    times = 2 if wrapper == "Repeat" else 1
    assert store.counts.amax(1).tolist() == [times] * len(store)
    assert (store.spread > 0).any() == (times > 1)


def test_non_finite_heatmaps_leave_targets_alone(make_runner):
    @HOOKS.register_module(force=True)
    class BreakWeights(Hook):
        def before_train_epoch(self, runner):
            with torch.no_grad():
                runner.model.head.multi_final_layers[0].weight.fill_(float("nan"))

    runner = make_runner(
        custom_hooks=[*hooks(start=0), dict(type="BreakWeights")],
        train_cfg=dict(max_epochs=1),
        optim_wrapper=dict(optimizer=dict(lr=0.0)),
    )
    runner.train()
    store = hook_of(runner).store
    assert torch.equal(store.targets, store.annotations)


def test_bad_set_ups_are_named(make_runner):
    with pytest.raises(ValueError, match="anchor='annotation'"):
        LatentTargetHook(start=0, anchor="previous", consensus=dict())
    with pytest.raises(ValueError, match="momentum=1 keeps one"):
        LatentTargetHook(start=0, momentum=1, consensus=dict())
    with pytest.raises(ValueError, match="not among the curves"):
        make_runner(
            custom_hooks=hooks(start=0, consensus=dict(sliding=[[0, 1]]))
        ).train()
    for name in ("consensus", "temporal"):
        with pytest.raises(ValueError, match=rf"{name}=.*unknown option \['strat'\]"):
            make_runner(custom_hooks=hooks(start=0, **{name: dict(strat=3)})).train()
    with pytest.raises(ValueError, match="sequence_id.*frame_number"):
        make_runner(custom_hooks=hooks(start=0, temporal=dict())).train()
    for window, message in ((1, "changes nothing"), (-1, "window must be")):
        with pytest.raises(ValueError, match=message):
            make_runner(
                custom_hooks=hooks(start=0, temporal=dict(window=window)),
                train_dataloader=dict(dataset=video_faces()),
            ).train()
    with pytest.raises(ValueError, match="anchor"):
        LatentTargetHook(start=0, anchor="truth")
    with pytest.raises(ValueError, match="momentum"):
        LatentTargetHook(start=0, momentum=0)
    with pytest.raises(ValueError, match="interval"):
        LatentTargetHook(start=0, interval=0)
    with pytest.raises(ValueError, match=r"\[68, -1\] are no landmark.*0 to 67"):
        make_runner(custom_hooks=hooks(start=0, freeze=[3, 68, -1])).train()
    with pytest.raises(TypeError, match="'CPMHead': give .*'SemanticAlignmentHead'"):
        make_runner(model=dict(head=dict(type="CPMHead", num_stages=1))).train()
    with pytest.raises(
        ValueError, match=r"finds 19 landmarks \(model.*out_channels=19"
    ):
        make_runner(model=dict(head=dict(out_channels=19))).train()
    pipeline = [
        dict(type="LoadImage"),
        dict(type="GetBBoxCenterScale"),
        dict(type="PackPoseInputs"),
    ]
    dataset = dict(train_dataloader=dict(dataset=dict(pipeline=pipeline)))
    with pytest.raises(ValueError, match="TopdownAffine"):
        make_runner(**dataset).train()


SCRIPT = """
import sys, torch
torch.cuda.set_device = lambda device: None  # MMEngine calls it without a GPU too
from mmengine.dist import get_rank
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
import semamb_mm.pose
from tests.pose.conftest import tiny_config
from tests.pose.hooks.test_latent_target_hook import video_faces
init_default_scope('mmpose')
batch_size, launcher, trainings = sys.argv[1:4]
norm = dict(type='GN', num_groups=2)
# The default wrapper names a GPU.
wrapper = None
if launcher != 'none':
    wrapper = dict(type='MMDistributedDataParallel', device_ids=None)
for work_dir, options in eval(trainings).items():
    runner = Runner.from_cfg(tiny_config(
        work_dir, model_wrapper_cfg=wrapper, launcher=launcher,
        env_cfg=dict(dist_cfg=dict(backend='gloo')),
        model=dict(backbone=dict(norm_cfg=norm, init_cfg=None)),
        custom_hooks=[dict(type='LatentTargetHook', **options)],
        train_cfg=dict(max_epochs=3),
        optim_wrapper=dict(optimizer=dict(_delete_=True, type='SGD', lr=0.01)),
        train_dataloader=dict(batch_size=int(batch_size), dataset=video_faces())))
    runner.train()
    hook = next(h for h in runner.hooks if hasattr(h, 'keeper'))
    shared, store = hook.keeper.shared, hook.store
    state = dict(
        targets=shared.targets, suspects=shared.suspects, start=shared.clock[0])
    if store is not None:
        names = ('annotations', 'found', 'counts', 'spread', 'energies')
        state.update({n: getattr(store, n) for n in names})
    torch.save(state, f'{work_dir}.{get_rank()}')
"""


def test_two_processes_hold_the_store_of_one(tmp_path):
    script = tmp_path / "train_tiny.py"
    script.write_text(SCRIPT)
    suspects = tmp_path / "suspects.csv"
    suspects.write_text("sample,landmark\nsynthetic/seed0/000001,7\n")
    options = dict(start=1, consensus=dict(shrinkage=0.5), temporal=dict(window=3))
    begun = dict(targets=str(tmp_path / "two" / "epoch_3.pth"), freeze=[0])
    begun["suspects"] = dict(file=str(suspects))

    def train(*launch, batch_size, launcher, **trainings):
        trainings = {str(tmp_path / name): given for name, given in trainings.items()}
        subprocess.run(
            [sys.executable, *launch, script, batch_size, launcher, repr(trainings)],
            check=True,
            env=dict(os.environ, PYTHONPATH=str(ROOT), OMP_NUM_THREADS="1"),
            cwd=ROOT,
        )

    def state(name, rank=0):
        return torch.load(tmp_path / f"{name}.{rank}", weights_only=True)

    train(batch_size="6", launcher="none", one=options)
    launch = ("-m", "torch.distributed.run", "--nproc_per_node=2")
    train(
        *(*launch, "--master_port=29617"),
        batch_size="3",
        launcher="pytorch",
        two=options,
        again=begun,
    )
    single, ranks = state("one"), [state("two", rank) for rank in (0, 1)]
    assert torch.equal(ranks[0]["targets"], ranks[1]["targets"])
    assert "found" not in ranks[1]
    assert torch.equal(ranks[0]["counts"], single["counts"])
    assert (single["targets"] != single["annotations"]).any()
    assert (ranks[0]["targets"] - single["targets"]).abs().max() < 1e-2
    # Two processes begin with finished targets, and keep them.
    again = [state("again", rank) for rank in (0, 1)]
    assert torch.equal(again[0]["targets"], again[1]["targets"])
    assert torch.equal(again[0]["targets"][:, 1:], ranks[0]["targets"][:, 1:])
    assert torch.equal(again[0]["targets"][:, 0], single["annotations"][:, 0])
    assert all(part["suspects"].nonzero().tolist() == [[1, 7]] for part in again)


def test_momentum_averages_the_first_searches_and_then_forgets(monkeypatch):
    annotations = torch.tensor([[[10.0, 10.0], [60.0, 50.0]]])
    dataset = SimpleNamespace()
    store = LatentTargetStore(["face"], annotations, torch.ones(1, 2))
    monkeypatch.setattr(keeper, "build_store", lambda dataset, named: store)
    kept = keeper.TargetKeeper(dataset, TargetMaker(), momentum=0.4)
    for found, expected in ((8.0, 8.0), (0.0, 4.0), (14.0, 8.0)):
        results = [
            SearchResult(
                indices=torch.tensor([0]),
                found=(annotations + found).double(),
                energies=torch.zeros(1, 2),
                searched=torch.tensor([[True, False]]),
                at_edge=torch.zeros(1, 2, dtype=torch.bool),
                views=torch.tensor([0]),
            )
        ]
        kept.commit(results)
        moved = store.targets - annotations
        torch.testing.assert_close(moved[0, 0], torch.full((2,), expected))
        assert (moved[0, 1] == 0).all()


KILLED = """
import os, signal, sys
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from tests.pose.conftest import tiny_config
from tests.pose.hooks.test_latent_target_hook import ITERATIONS, LOOPS

@HOOKS.register_module()
class Kill(Hook):
    priority = 'VERY_LOW'
    def before_train_iter(self, runner, batch_idx, data_batch=None):
        if runner.iter == KILL_AT:
            os.kill(os.getpid(), signal.SIGKILL)

# Imported once: each training is a fork of its own.
for loop, changes in LOOPS.items():
    for KILL_AT in ITERATIONS:
        child = os.fork()
        if not child:
            hooks = [*changes['custom_hooks'], dict(type='Kill')]
            config = tiny_config(
                f'{sys.argv[1]}/{loop}{KILL_AT}', **dict(changes, custom_hooks=hooks))
            Runner.from_cfg(config).train()
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WTERMSIG(status) == signal.SIGKILL, (loop, KILL_AT, status)
"""
# The middle of an epoch, and between two checkpoints.
ITERATIONS = (3, 5)
# Too few faces to estimate the shrinkage.
CONSENSUS = dict(curves=[list(range(17))], shrinkage=0.5)
# Consensus trusts no network that hardly trained: what moves is agreement over time.
MAKING = dict(consensus=CONSENSUS, temporal=dict(window=3))
VIDEO = dict(batch_size=6, dataset=video_faces())
LOOPS = dict(
    epochs=dict(
        custom_hooks=hooks(start=1, **MAKING),
        train_cfg=dict(max_epochs=4),
        train_dataloader=dict(VIDEO, num_workers=1, persistent_workers=True),
    ),
    iterations=dict(
        custom_hooks=hooks(start=2, by_epoch=False, **MAKING),
        train_cfg=dict(_delete_=True, by_epoch=False, max_iters=8, val_interval=99),
        train_dataloader=dict(
            VIDEO, sampler=dict(type="InfiniteSampler", shuffle=True)
        ),
        default_hooks=dict(checkpoint=dict(by_epoch=False, interval=2)),
        log_processor=dict(by_epoch=False),
    ),
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """Folder of all trainings, each of them killed."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "killed.py").write_text(KILLED)
    done = subprocess.run(
        [sys.executable, str(folder / "killed.py"), str(folder)],
        env=dict(os.environ, PYTHONPATH=str(ROOT)),
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """Loop to its runner after the whole training."""
    runners = {}
    for loop, changes in LOOPS.items():
        init_default_scope("mmpose")
        config = tiny_config(tmp_path_factory.mktemp("whole"), **changes)
        runners[loop] = Runner.from_cfg(config)
        runners[loop].train()
    return runners


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize("iteration", ITERATIONS)
def test_killed_training_goes_on_as_if_it_had_not_been(
    make_runner, killed, uninterrupted, loop, iteration
):
    whole = uninterrupted[loop]
    parts = killed / f"{loop}{iteration}"
    assert (parts / "last_checkpoint").is_file()
    rest = make_runner(parts, resume=True, **LOOPS[loop])
    rest.train()
    assert rest.iter == whole.iter
    assert torch.equal(weights(rest), weights(whole))
    for name in ("targets", "found", "energies", "counts", "spread"):
        mine, theirs = (getattr(hook_of(r).store, name) for r in (rest, whole))
        assert torch.equal(mine, theirs), name
    store = hook_of(whole).store
    assert (store.targets != store.annotations).any()
