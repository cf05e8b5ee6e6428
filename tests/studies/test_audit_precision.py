"""studies/audit_precision.py: what is planted, trained and counted."""

import argparse
import csv

import numpy as np
import pytest

from semamb_mm.pose.datasets import PtsFaceDataset
from studies import audit_precision


@pytest.fixture(scope="module")
def args(tmp_path_factory):
    return argparse.Namespace(
        cases=["procedural"],
        seeds=[1],
        epochs=3,
        num_faces=4,
        work_dir=str(tmp_path_factory.mktemp("study")),
        cfg_options={},
    )


def test_planted_errors_are_those_that_the_list_names(args):
    (run,) = audit_precision.plan(args)
    clean = audit_precision.clean_tree("procedural", args)
    audit_precision.plant(clean, run.data_root, 1)
    audit_precision.plant(clean, run.data_root, 1)
    with open(run.data_root / "planted.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    planted = {(row["sample"], int(row["landmark"])) for row in rows}
    moved = set()
    old, new = (
        PtsFaceDataset(data_root=str(root), ann_file="train.txt")
        for root in (clean, run.data_root)
    )
    assert len(old) == len(new) == 4
    for before, after in zip(
        map(old.get_data_info, range(4)), map(new.get_data_info, range(4))
    ):
        distance = np.linalg.norm(before["keypoints"] - after["keypoints"], axis=-1)[0]
        sample = (
            after["img_path"].removeprefix(f"{run.data_root}/").removesuffix(".png")
        )
        moved |= {(sample, int(k)) for k in np.flatnonzero(distance > 0.01)}
    assert planted == moved and 0 < len(planted) < 40


def test_left_and_right_are_swapped_in_one_face_of_a_hundred():
    points = np.random.default_rng(0).uniform(0, 100, (68, 2))
    # Ten landmarks in the middle of a face are their own mirror images.
    mirrored = np.r_[np.arange(10), np.arange(67, 9, -1)]
    kinds = [
        audit_precision.spoil(points, mirrored, np.random.default_rng([0, i]))[1]
        for i in range(1000)
    ]
    swapped = [k for k in kinds if "swap" in k]
    assert 2 < len(swapped) < 25
    assert all((k == "swap").sum() == 58 for k in swapped)
    slips = np.mean([(k == "slip").mean() for k in kinds])
    assert slips == pytest.approx(0.04, abs=0.005)


def test_the_training_is_of_the_planted_errors(args):
    (run,) = audit_precision.plan(args)
    assert run.checkpoint.name == "epoch_3.pth"
    dataset = run.resolved.train_dataloader.dataset
    assert dataset.data_root == str(run.data_root)
    assert run.resolved.param_scheduler[1].end == 3


def test_figures():
    scores = np.array([9.0, 9, 9, 9, 0, 0, 0, 0, 0, 0])
    kinds = np.array(["slip", "slip", "", "swap", "slip", "", "", "", "", ""])
    found = audit_precision.figures(scores, kinds)
    assert found["planted"] == 40 and found["precision"] == 75
    assert found["recall"] == 75 and found["recall, swap"] == 100
    assert found["recall, slip"] == pytest.approx(200 / 3)
    text = audit_precision.table(
        {("real", "8 epochs", seed): dict(planted=4.0 + seed) for seed in (0, 1)}
    )
    assert text.splitlines()[2:] == [
        "| real | 0 | 4.0 |",
        "| real | 1 | 5.0 |",
        "| real | mean | 4.5 ± 0.7 |",
    ]
