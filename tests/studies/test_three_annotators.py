"""studies/three_annotators.py: who is trained on, the errors of it, the table."""

import sys

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from studies import three_annotators
from studies.observers import marked_pixels

FACES = 4


@pytest.fixture
def options(tmp_path):
    return f"--faces 4 --epochs 3 --seeds 5 --work-dir {tmp_path}".split()


@pytest.fixture
def runs(options):
    args = three_annotators.parse_args(options)
    three_annotators.draw(three_annotators.faces_of(args, 5), FACES, 5)
    return three_annotators.plan(args)


def test_all_see_as_many_samples_of_what_they_are_named_after(runs):
    init_default_scope("mmpose")
    _, marks = marked_pixels(FACES, 5)
    seen = {}
    for run in runs:
        dataset = DATASETS.build(run.resolved.train_dataloader.dataset)
        samples = [dataset.get_data_info(i) for i in range(len(dataset))]
        seen[run.method] = len(samples) * run.epochs
        points = np.concatenate([sample["keypoints"] for sample in samples])
        if run.method in ("mean", *three_annotators.SEARCHES):
            np.testing.assert_allclose(points, marks.mean(0), atol=0.01)
        elif run.method == "hasty":
            np.testing.assert_allclose(points, marks[2], atol=0.01)
        elif run.method == "all":
            assert len(points) == 3 * FACES
    assert set(seen) == set(three_annotators.METHODS) and set(seen.values()) == {12}


def test_a_restart_is_searched_by_the_detector_of_the_mean(runs):
    mean, restart = (
        next(run for run in runs if run.method == method)
        for method in ("mean", "restart")
    )
    assert restart.needs.after == mean
    assert restart.needs.command[1:3] == (mean.planned, mean.checkpoint)
    hook = restart.resolved.custom_hooks[-1]
    assert hook.targets == str(restart.needs.path) and hook.start is None


def test_errors_of_what_is_trained_on(runs, monkeypatch):
    truth, marks = marked_pixels(FACES, 5)
    keys = [f"hasty/{index:06d}" for index in (2, 0, 3, 1)]
    targets = np.stack([truth[index] for index in (2, 0, 3, 1)])
    saved = dict(keys=keys, targets=torch.from_numpy(targets))
    monkeypatch.setattr(three_annotators, "saved_targets", lambda run: saved)
    found = {run.method: three_annotators.taught_errors(run) for run in runs}
    assert found["consensus"] == found["restart"] == dict(weak=0, strong=0)
    ordered = [found[name]["weak"] for name in ("mean", "careful", "usual", "hasty")]
    assert ordered == sorted(ordered) and ordered[0] > 0
    assert found["random"] == found["all"]
    squares = [found[name]["weak"] ** 2 for name in ("careful", "usual", "hasty")]
    assert found["all"]["weak"] ** 2 == pytest.approx(np.mean(squares))


def test_trained_and_reported(options, tmp_path, monkeypatch, capsys):
    few = [
        *("train_cfg.val_interval=1", "val_dataloader.dataset.num_samples=2"),
        *(
            f"{part}_dataloader.{option}"
            for part in ("train", "val")
            for option in ("batch_size=2", "num_workers=0", "persistent_workers=False")
        ),
    ]
    argv = ["three_annotators", *options, "--methods", "consensus"]
    monkeypatch.setattr(sys, "argv", [*argv, "--report"])
    with pytest.raises(SystemExit, match="no training is finished"):
        three_annotators.main()
    monkeypatch.setattr(sys, "argv", [*argv, "--cfg-options", *few])
    three_annotators.main()
    (row,) = (tmp_path / "table.md").read_text().splitlines()[2:]
    method, seeds, nme, against, weak, strong = row.split("|")[1:-1]
    assert method.strip() == "consensus" and seeds.strip() == "5"
    assert float(nme) > 0 and float(weak) > 0 and not against.strip()
