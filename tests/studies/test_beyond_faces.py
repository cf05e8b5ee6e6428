"""studies/beyond_faces.py: its runs, its figures and the generated people."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from semamb_mm.pose.latent_targets import CHECKPOINT_KEY
from studies import beyond_faces, stick_figures

SHAPE = (6, 19, 2)


def arguments(folder, **changes):
    given = dict(
        seeds=[3],
        folds=[0],
        annotators=[1],
        cases=None,
        report=False,
        work_dir=str(folder),
        cfg_options={},
    )
    return argparse.Namespace(**dict(given, **changes))


def points(seed):
    """Landmarks; Sella and Nasion are 200 px apart in every picture."""
    rows = np.random.default_rng(seed).uniform(50, 400, SHAPE).round(3)
    rows[:, 1] = rows[:, 0] + (200, 0)
    return rows


@pytest.fixture
def xrays(tmp_path, monkeypatch):
    """Six pictures in five groups and five folds; the second dentist is 4 px off.

    That one has no annotation of the third picture.
    """
    root = tmp_path / "xrays"
    root.mkdir()
    images = [
        dict(id=i, file_name=f"images/{i}.jpg", group=min(i, 4), fold=i % 5)
        for i in range(6)
    ]
    for number, rows in ((1, points(0)), (2, points(0) + 4)):
        shown = np.full((*SHAPE[:2], 1), 2.0)
        shown[1, 3] = 0
        rows = np.concatenate([rows, shown], 2)
        annotations = [
            dict(id=i, image_id=i, keypoints=row.ravel().tolist())
            for i, row in enumerate(rows)
            if (number, i) != (2, 2)
        ]
        content = dict(images=images, annotations=annotations, categories=[])
        (root / f"annotator_{number}.json").write_text(json.dumps(content))
    monkeypatch.setenv("XRAY_ROOT", str(root))
    return root


def finish(run, keys, annotations, targets):
    run.folder.mkdir(parents=True)
    annotations, targets = map(torch.from_numpy, (annotations, targets))
    visible = torch.ones(annotations.shape[:2], dtype=torch.bool)
    state = dict(keys=keys, annotations=annotations, targets=targets, visible=visible)
    state["found"] = targets
    torch.save({CHECKPOINT_KEY: state}, run.checkpoint)


def test_the_search_goes_on_from_the_stock_detector(xrays, tmp_path):
    (run,) = beyond_faces.plan_xrays(arguments(tmp_path))
    plain, aligned = run.after.resolved, run.resolved
    assert run.start == run.after.epochs == plain.train_cfg.max_epochs
    assert plain.model.head.type == "HeatmapHead"
    assert aligned.model.head.type == "SemanticAlignmentHead"
    hook = aligned.custom_hooks[-1]
    assert hook == dict(type="LatentTargetHook", start=run.start, consensus=dict())
    aligned.custom_hooks.pop()
    for config in (plain, aligned):
        del config.model.head["type"], config.train_cfg["max_epochs"]
    assert plain.to_dict() == aligned.to_dict()


def test_xrays_are_trained_without_the_fold(xrays, tmp_path):
    (run,) = beyond_faces.plan_xrays(arguments(tmp_path, folds=[1]))
    path = Path(run.resolved.train_dataloader.dataset.ann_file)
    content = json.loads(path.read_text())
    assert [a["id"] for a in content["annotations"]] == [0, 2, 3, 4, 5]
    assert {i["fold"] for i in content["images"]} == {0, 2, 3, 4}


def test_xrays_are_compared_with_the_other_dentist(xrays, tmp_path):
    (run,) = beyond_faces.plan_xrays(arguments(tmp_path, folds=[1]))
    ids = [0, 2, 3, 4, 5]
    moved = points(0)[ids]
    moved[0, 7, 0] += 10
    keys = [f"xrays/images/{i}.jpg#{i}" for i in ids]
    finish(run, keys, points(0)[ids], moved + 1)
    found = beyond_faces.squares_xrays(run)
    # A shift that all pictures share is no error.
    np.testing.assert_allclose(found["annotations"], 0, atol=1e-9)
    assert found["groups"] == [0, 3, 4, 4] and found["seen"] == [19] * 4
    # The mean over four pictures takes its share.
    expected = np.array([7.5, 2.5, 2.5, 2.5]) ** 2 * 1e4 / 200**2
    np.testing.assert_allclose(found["targets"], expected)


def test_xrays_need_their_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XRAY_ROOT", str(tmp_path))
    with pytest.raises(SystemExit, match="XRAY_ROOT"):
        beyond_faces.plan_xrays(arguments(tmp_path))


def test_bodies_are_compared_with_the_truth(tmp_path, monkeypatch):
    monkeypatch.setattr(beyond_faces, "FIGURES", 2)
    (run,) = beyond_faces.plan_bodies(arguments(tmp_path))
    truth = json.loads((tmp_path / "bodies/figures_seed3/truth.json").read_text())
    joints = np.array([truth[i]["joints"] for i in "12"])
    shifted = joints + (3.0, 4.0)
    finish(run, ["coco/a#1", "coco/b#2"], shifted, joints)
    found = beyond_faces.squares_bodies(run)
    np.testing.assert_allclose(found["targets"], 0, atol=1e-9)
    heights = np.array([truth[i]["height"] for i in "12"])
    np.testing.assert_allclose(found["annotations"], 17e4 * 25 / heights**2)


def test_interval_of_the_change():
    rng = np.random.default_rng(1)
    before = rng.uniform(1, 3, 60)
    run = dict(groups=list(range(60)), seen=[10] * 60)
    run.update(annotations=before.tolist(), targets=(0.81 * before).tolist())
    run["found"] = (0.25 * before).tolist()
    found = beyond_faces.resampled([run])
    for name in ("change", "low", "high"):
        assert found[name] == pytest.approx(-10)
    assert found["annotations"] == pytest.approx(np.sqrt(before.mean() / 10))
    assert found["found"] == pytest.approx(0.5 * found["annotations"])
    worse = dict(run, targets=rng.permutation(before).tolist())
    found = beyond_faces.resampled([worse])
    assert found["low"] < -2 and found["high"] > 2 and abs(found["change"]) < 1e-9
    # A picture of two runs is one picture.
    assert beyond_faces.resampled([run, worse])["pictures"] == 60


def test_the_command_reports_what_is_finished(tmp_path, monkeypatch, capsys):
    command = ["study", "--report", "--seeds", "3", "--cases", "bodies"]
    monkeypatch.setattr(sys, "argv", [*command, "--work-dir", str(tmp_path)])
    with pytest.raises(SystemExit, match="no training is finished"):
        beyond_faces.main()
    stick_figures.write_figures(tmp_path / "bodies/figures_seed3", 1, 3)
    (run,) = beyond_faces.plan_bodies(arguments(tmp_path, report=True))
    joints = np.zeros((1, 17, 2))
    finish(run, ["coco/a#1"], joints, joints)
    beyond_faces.main()
    shown = capsys.readouterr().out
    assert "| bodies | seed 3 | 1 |" in shown
    assert (tmp_path / "table.md").read_text() in shown


def test_figures_are_a_coco_data_set(tmp_path):
    stick_figures.write_figures(tmp_path / "people", 40, 0)
    init_default_scope("mmpose")
    dataset = DATASETS.build(
        dict(
            type="CocoDataset",
            data_root=str(tmp_path / "people"),
            ann_file="annotations/person_keypoints_train2017.json",
            data_prefix=dict(img="train2017/"),
            pipeline=[dict(type="LoadImage")],
        )
    )
    names = dataset.metainfo["keypoint_id2name"]
    assert [names[i] for i in range(17)] == stick_figures.NAMES
    np.testing.assert_allclose(dataset.metainfo["sigmas"], stick_figures.SIGMAS)
    truth = json.loads((tmp_path / "people/truth.json").read_text())
    errors = np.zeros(17)
    for i in range(40):
        sample = dataset[i]
        assert sample["img"].shape == (192, 192, 3)
        real = np.array(truth[str(sample["id"])]["joints"])
        shown = sample["keypoints_visible"][0] > 0
        error = np.linalg.norm(sample["keypoints"][0] - real, axis=-1)
        errors += (error / np.sqrt(sample["area"])) ** 2 * shown
    rms = np.sqrt(errors.sum() / 40 / 17)
    assert 0.05 < rms < 0.08  # the sigmas' RMS is 0.071; some are hidden


def test_annotators_slide_along_limbs():
    joints, _ = stick_figures.pose(np.random.default_rng(0))
    rng = np.random.default_rng(1)
    slips = np.stack([stick_figures.slips(joints, rng) for _ in range(2000)])
    np.testing.assert_allclose(
        np.sqrt((slips**2).sum(-1).mean(0)), stick_figures.SIGMAS, rtol=0.1
    )
    along = joints[9] - joints[5]
    along /= np.linalg.norm(along)
    across = np.array([-along[1], along[0]])
    elbow = slips[:, 7]
    assert (elbow @ along).std() / (elbow @ across).std() == pytest.approx(3, rel=0.1)
