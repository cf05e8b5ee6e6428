"""studies/alignment.py: plans that fit the configs, figures, copies."""

import argparse
import copy
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmpose.registry import HOOKS, MODELS

from semamb_mm.pose.datasets import (
    PtsFaceDataset,
    SyntheticFaceDataset,
    write_pts_tree,
)
from semamb_mm.pose.latent_targets import CHECKPOINT_KEY
from semamb_mm.synthetic.faces import true_keypoints
from studies import alignment
from studies.engine import hook, transform
from tests import ROOT
from tools.analysis import audit_annotations

SA = ROOT / "configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"


def arguments(tmp_path, **changes):
    given = dict(seeds=[0], work_dir=str(tmp_path), config=SA, cfg_options={})
    return argparse.Namespace(**dict(given, **changes))


def write_faces(folder, count=4):
    write_pts_tree(SyntheticFaceDataset(num_samples=count, image_size=64), folder)
    names = [f"images/{i:06d}" for i in range(count)]
    (folder / "train.txt").write_text("\n".join(names[:-1]) + "\n")
    (folder / "val.txt").write_text(names[-1] + "\n")


@pytest.mark.parametrize("part", ["noise", "real", "ablations", "compare"])
def test_every_run_of_a_plan_can_be_built(part, tmp_path, monkeypatch):
    write_faces(tmp_path / "data")
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    init_default_scope("mmpose")
    runs = list(alignment.PLANS[part](arguments(tmp_path)))
    afterwards = [name for name in alignment.ON_REQUEST if "afterwards" in name]
    for run in runs:
        config = run.resolved
        assert config.randomness.seed == run.seed
        if run.config in alignment.PLAIN_CONFIGS.values():
            assert all(h.type != "LatentTargetHook" for h in config.custom_hooks)
        else:
            start = HOOKS.build(hook(config)).start
            first = run.after is None and run.needs is None
            begins = 0 if run.method in afterwards else run.start
            assert start == (alignment.NEVER if first else begins)
        MODELS.build(config.model)
        target = transform(config, "GenerateTarget")
        assert target.encoder.sigma == config.model.head.decoder.sigma
        assert config.train_cfg.max_epochs == run.epochs
        if run.method in afterwards:
            assert config.load_from == str(run.after.checkpoint)
            assert run.epochs == run.after.epochs // 2
            continue
        assert config.param_scheduler[1].end == run.epochs
        if run.after:
            assert run.start < run.epochs
            check_shares_its_beginning(run)
    assert len({run.folder for run in runs}) == len(runs)
    assert len({run.key for run in runs}) == len(runs)


def test_restarts_train_on_what_the_finished_plain_detectors_find(tmp_path):
    runs = {
        run.method: run
        for run in alignment.plan_noise(arguments(tmp_path))
        if run.case == "heavy, 250 faces"
    }
    plain, methods = runs["plain"], set(runs)
    asked = [m for m in methods if alignment.wanted(runs[m], None)]
    assert {"plain", "aligned"} <= set(asked) and len(methods) - len(asked) == 9
    for method, tool in (("restart", "search_targets"), ("cross-fit", "cross_fit")):
        run = runs[method]
        assert alignment.wanted(run, [method])
        assert not alignment.wanted(run, ["aligned"])
        assert run.needs.after is plain and run.after is None
        script, given = run.needs.command[:2]
        assert script == f"tools/{tool}.py" and (ROOT / script).is_file()
        assert given == plain.planned
        assert hook(run.resolved).targets == str(run.needs.path)
        assert hook(run.resolved).start is None
        assert run.epochs == plain.epochs  # its budget is that of plain training
    twice = runs["plain, twice as long"]
    assert twice.epochs == 2 * plain.epochs == twice.resolved.param_scheduler[1].end
    assert twice.after is twice.needs is None
    assert not alignment.wanted(twice, ["restart"])
    assert alignment.wanted(twice, [twice.method])


def test_what_plain_detectors_suspect_is_left_out(tmp_path):
    runs = {
        run.method: run
        for run in alignment.plan_noise(arguments(tmp_path))
        if run.case == "gross errors"
    }
    plain = runs["plain"]
    for method, folds in (("suspects", None), ("suspects, folds", 5)):
        run = runs[method]
        assert not alignment.wanted(run, None) and alignment.wanted(run, [method])
        assert run.needs.after is plain and run.after is None
        assert (ROOT / run.needs.command[0]).samefile(audit_annotations.__file__)
        command = [str(part) for part in run.needs.command[1:]]
        args = audit_annotations.parse_args(command)
        assert (args.config, args.folds) == (str(plain.planned), folds)
        assert args.checkpoint == (None if folds else str(plain.checkpoint))
        assert run.needs.path == Path(args.out_dir) / "landmarks.csv"
        aligning = hook(run.resolved)
        assert aligning.suspects == dict(file=str(run.needs.path))
        assert aligning.start is None and run.epochs == plain.epochs


def test_what_goes_on_from_a_finished_detector_has_the_rate_that_it_ended_with(
    tmp_path,
):
    runs = {
        run.method: run
        for run in alignment.plan_noise(arguments(tmp_path))
        if run.case == "realistic"
    }
    first = runs["plain"].resolved
    ended = first.optim_wrapper.optimizer.lr * first.param_scheduler[1].eta_min_ratio
    given = {}
    for name in ("", ", ratio 1", ", ratio 0.01"):
        config = runs[f"paper, afterwards{name}"].resolved
        assert config.optim_wrapper.optimizer.lr == pytest.approx(ended)
        assert not config.param_scheduler
        given[name] = hook(config).search.likelihood
    base = Config.fromfile(ROOT / "configs/_base_/alignment_paper.py")
    assert given[""] == base.latent_target_hook.search.likelihood
    assert given[", ratio 1"] / given[", ratio 0.01"] == pytest.approx(10)
    plain = runs["plain, afterwards"].resolved
    assert plain.optim_wrapper.optimizer.lr == pytest.approx(ended)
    assert all(h.type != "LatentTargetHook" for h in plain.custom_hooks)


def check_shares_its_beginning(run):
    """Only what the method is about differs from the run that it branches off."""
    assert run.after.seed == run.seed and run.after.case == run.case
    config, plain = run.resolved, copy.deepcopy(run.after.resolved)
    if run.method == "perfect targets":
        other = "data_root" if run.part == "real" else "noise"
        given = config.train_dataloader.dataset[other]
        if run.part == "real":
            assert "displaced" in str(run.data_root) and "displaced" not in given
        else:
            assert given == "none"
        plain.train_dataloader.dataset[other] = given
    for part_of_it in ("train_dataloader", "optim_wrapper", "train_cfg"):
        assert plain[part_of_it] == config[part_of_it]
    assert plain.model.head.loss == config.model.head.loss


def test_a_displaced_copy_moves_contour_and_brows_of_training_faces_only(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    write_faces(source)
    noise = alignment.REAL_CASES["displaced"].noise
    alignment.changed_copy(source, target, 3, noise, None)
    for split in ("train", "val"):
        old, new = (
            PtsFaceDataset(data_root=str(root), ann_file=f"{split}.txt")
            for root in (source, target)
        )
        moved = np.stack(
            [
                np.abs(
                    old.get_data_info(i)["keypoints"]
                    - new.get_data_info(i)["keypoints"]
                )[0].max(-1)
                for i in range(len(old))
            ]
        )
        if split == "val":
            assert moved.max() < 1e-3
        else:
            assert moved[:, 27:].max() < 1e-3
            assert (moved[:, :27].max(0) > 0.05).all()


def test_a_copy_of_some_faces_keeps_their_annotations(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    write_faces(source, 6)
    alignment.changed_copy(source, target, 0, None, 2)
    old, new = (
        PtsFaceDataset(data_root=str(root), ann_file="train.txt")
        for root in (source, target)
    )
    assert (len(old), len(new)) == (5, 2)
    known = {Path(d["img_path"]).name: d for d in map(old.get_data_info, range(5))}
    for info in map(new.get_data_info, range(2)):
        same = known[Path(info["img_path"]).name]
        assert np.allclose(info["keypoints"], same["keypoints"], atol=1e-3)
    val = PtsFaceDataset(data_root=str(target), ann_file="val.txt")
    assert len(val) == 1


def test_differences_are_paired_by_seed():
    name = "NME/inter_ocular"
    plain = {0: {name: 2.0}, 1: {name: 4.0}}
    aligned = {0: {name: 1.8}, 1: {name: 4.4}}
    assert alignment.relative(aligned, plain) == "+0.0 % (-10.0, +10.0)"


def test_the_report_of_finished_runs(tmp_path, capsys):
    """All but the training, from logs and checkpoints as training leaves them."""
    runs = [
        run
        for run in alignment.plan_noise(arguments(tmp_path, seeds=[0, 1]))
        if run.case == "realistic" and run.method in ("plain", "aligned")
    ]
    for run in runs:
        write_finished(run, 0.02 + 0.001 * run.seed - 0.002 * (run.method == "aligned"))
    alignment.report(runs, tmp_path)
    text = (tmp_path / "table.md").read_text()
    assert text in capsys.readouterr().out
    assert "| case | method | seeds | NME | against plain | weak targets, RMS |" in text
    assert "| realistic | plain | 0, 1 | 2.05 ± 0.07 | | | |" in text.replace("  ", " ")
    assert "| 1.85 ± 0.07 | -9.8 % (-10.0, -9.5) |" in text
    for name in ("results.csv", "curves.csv"):
        assert (tmp_path / name).read_text().startswith("part,case,method,seed,epoch,N")
    assert (tmp_path / "noise.png").stat().st_size > 1000
    with pytest.raises(SystemExit, match="no training is finished"):
        alignment.report([], tmp_path)


def write_finished(run, error):
    log = run.folder / "20260101_000000" / "vis_data" / "scalars.json"
    log.parent.mkdir(parents=True)
    steps = ({alignment.NME: error, "step": step} for step in (18, 20))
    log.write_text("".join(json.dumps(record) + "\n" for record in steps))
    truth = np.stack([true_keypoints(0, i) for i in range(2)])
    state = dict(
        keys=["synthetic/seed0/0", "synthetic/seed0/1"],
        annotations=torch.from_numpy(truth + 1),
        targets=torch.from_numpy(truth),
    )
    torch.save({CHECKPOINT_KEY: state}, run.checkpoint)
