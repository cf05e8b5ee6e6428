"""studies/alignment.py: plans that fit the configs, figures, copies."""

import argparse
import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config, DictAction
from mmengine.registry import init_default_scope
from mmpose.registry import HOOKS, MODELS

import semamb_mm.pose  # noqa: F401
from semamb_mm.pose.datasets import (
    PtsFaceDataset,
    SyntheticFaceDataset,
    write_pts_tree,
)
from studies import alignment
from tests import ROOT

SA = ROOT / "configs/semantic_alignment/slim-hourglass_sa_synthetic-96x96.py"


@pytest.fixture(scope="module")
def study():
    return alignment


def arguments(tmp_path, **changes):
    given = dict(seeds=[0], work_dir=str(tmp_path), config=SA)
    return argparse.Namespace(**dict(given, **changes))


def write_faces(folder, count=4):
    write_pts_tree(SyntheticFaceDataset(num_samples=count, image_size=64), folder)
    names = [f"images/{i:06d}" for i in range(count)]
    (folder / "train.txt").write_text("\n".join(names[:-1]) + "\n")
    (folder / "val.txt").write_text(names[-1] + "\n")


@cache
def from_file(path):
    return Config.fromfile(path)


def configured(run, parser):
    """The config of a run, with its options."""
    config = copy.deepcopy(from_file(run.config))
    options = [f"randomness.seed={run.seed}", *run.options]
    config.merge_from_dict(parser.parse_args(["--cfg-options", *options]).cfg_options)
    return config


@pytest.mark.parametrize("part", ["noise", "real", "ablations", "compare"])
def test_every_run_of_a_plan_can_be_built(study, part, tmp_path, monkeypatch):
    write_faces(tmp_path / "data")
    monkeypatch.setenv("DATA_ROOT", str(tmp_path / "data"))
    init_default_scope("mmpose")
    runs = list(study.PLANS[part](arguments(tmp_path)))
    parser = argparse.ArgumentParser()
    parser.add_argument("--cfg-options", nargs="+", action=DictAction)
    folders = set()
    for run in runs:
        run.place(tmp_path)
        folders.add(run.folder)
        config = configured(run, parser)
        if run.config in study.PLAIN_CONFIGS.values():
            assert all(h.type != "LatentTargetHook" for h in config.custom_hooks)
        else:
            hook = HOOKS.build(config.custom_hooks[1])
            assert hook.start == (study.NEVER if run.shared is None else run.start)
        MODELS.build(config.model)
        (target,) = (
            step
            for step in config.train_dataloader.dataset.pipeline
            if step.type == "GenerateTarget"
        )
        assert target.encoder.sigma == config.model.head.decoder.sigma
        assert config.train_cfg.max_epochs == run.epochs
        assert config.param_scheduler[1].end == run.epochs
        assert run.start < run.epochs or run.shared is None
        if run.shared:
            assert run.shared.seed == run.seed and run.shared.case == run.case
            plain = configured(run.shared, parser)
            if run.method == "perfect targets":
                other = "data_root" if part == "real" else "noise"
                given = config.train_dataloader.dataset[other]
                if part == "real":
                    assert "displaced" in str(run.data) and "displaced" not in given
                else:
                    assert given == "none"
                plain.train_dataloader.dataset[other] = given
            for part_of_it in ("train_dataloader", "optim_wrapper", "train_cfg"):
                assert plain[part_of_it] == config[part_of_it]
            assert plain.model.head.loss == config.model.head.loss
    assert len(folders) == len(runs)


def test_a_displaced_copy_moves_contour_and_brows_of_training_faces_only(
    study, tmp_path
):
    source, target = tmp_path / "source", tmp_path / "target"
    write_faces(source)
    noise, *_ = study.REAL_CASES["displaced"]
    study.changed_copy(source, target, 3, noise, None)
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


def test_a_copy_of_some_faces_keeps_their_annotations(study, tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    write_faces(source, 6)
    study.changed_copy(source, target, 0, None, 2)
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


def test_differences_are_paired_by_seed(study):
    name = "NME/inter_ocular"
    plain = {0: {name: 2.0}, 1: {name: 4.0}}
    aligned = {0: {name: 1.8}, 1: {name: 4.4}}
    assert study.relative(aligned, plain) == "+0.0 % (-10.0, +10.0)"
    assert study.spread([1.0, 3.0]) == "2.00 ± 1.41"
