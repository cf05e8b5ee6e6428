"""studies/disagreement.py: what the dentists say, the runs, the figures."""

import argparse
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from studies import cross_targets, disagreement

SHAPE = (10, 19, 2)


def points(dentist):
    """Landmarks; Sella and Nasion are 200 px apart; the second lies 4 px to the right.

    What the second has no label for lies where the first has it.
    """
    rows = np.random.default_rng(0).uniform(50, 400, SHAPE).round(3)
    rows[:, 1] = rows[:, 0] + (200, 0)
    return rows + (4 * dentist, 0)


@pytest.fixture
def xrays(tmp_path, monkeypatch):
    """Ten pictures in five folds; the last two are equal; a landmark has one label."""
    root = tmp_path / "data"
    root.mkdir()
    images = [
        dict(id=i, file_name=f"{i}.jpg", group=min(i, 8), fold=min(i, 8) % 5)
        | dict(width=500, height=500)
        for i in range(10)
    ]
    for dentist in (0, 1):
        seen = np.full((*SHAPE[:2], 1), 2.0)
        seen[2, 5] = 2 * dentist
        rows = np.concatenate([points(dentist), seen], 2)
        annotations = [
            dict(id=i, image_id=i, keypoints=row.ravel().tolist(), bbox=[0, 0, 9, 8])
            | dict(category_id=1, iscrowd=0, area=72)
            for i, row in enumerate(rows)
        ]
        content = dict(images=images, annotations=annotations, categories=[dict(id=1)])
        (root / f"annotator_{dentist + 1}.json").write_text(json.dumps(content))
    monkeypatch.setenv("XRAY_ROOT", str(root))
    return root


def plan(folder, **changes):
    given = dict(
        seeds=[3],
        folds=[1],
        annotators=[2],
        methods=disagreement.METHODS,
        work_dir=str(folder),
        cfg_options={},
    )
    return disagreement.plan(argparse.Namespace(**dict(given, **changes)))


def test_the_mean_keeps_the_training_dentists_convention(xrays):
    for annotator, own in ((1, 0), (2, 1)):
        opinions = disagreement.read_opinions(xrays, annotator)
        np.testing.assert_array_equal(np.isnan(opinions.points).any(-1).sum(), 1)
        offsets = opinions.offsets(np.ones(10, bool))
        np.testing.assert_allclose(offsets, np.broadcast_to((4 * own - 2, 0), (19, 2)))
        # They differ by nothing else, so the mean is each one's own, labelled or not.
        np.testing.assert_allclose(opinions.means(offsets), points(own))


def test_offsets_are_those_of_the_pictures_asked_for(xrays):
    opinions = disagreement.read_opinions(xrays, 1)
    opinions.points[1, :4] += 10
    alone = np.arange(10) >= 4
    np.testing.assert_allclose(opinions.offsets(alone), [[-2.0, 0.0]] * 19)


def test_a_method_differs_from_plain_by_what_it_is(xrays, tmp_path):
    plain, half, aligned, ceiling, restart, crossed = plan(tmp_path / "runs")
    assert aligned.after == plain and aligned.start == 40
    assert len({run.epochs for run in (plain, aligned, ceiling, restart, crossed)}) == 1
    assert half.epochs == half.resolved.param_scheduler[1].end == plain.epochs // 2
    assert restart.needs.after == plain and crossed.needs is None
    for run, name in ((restart, "targets.npz"), (crossed, "cross_targets.npz")):
        aligning = run.resolved.custom_hooks[-1]
        assert aligning.targets == str(plain.folder / name) and aligning.start is None
    checkpoint = plain.resolved.default_hooks.checkpoint
    assert aligned.start % checkpoint.interval == 0
    assert checkpoint.max_keep_ckpts == -1
    own, mean = (
        json.loads(Path(r.resolved.train_dataloader.dataset.ann_file).read_text())
        for r in (plain, ceiling)
    )
    assert [a["id"] for a in own["annotations"]] == [0, 2, 3, 4, 5, 7, 8, 9]
    for one, other in zip(own["annotations"], mean["annotations"]):
        np.testing.assert_allclose(one.pop("keypoints"), other.pop("keypoints"))
    assert own == mean
    for run in (plain, ceiling):
        del run.resolved.train_dataloader.dataset["ann_file"]
    assert plain.resolved.to_dict() == ceiling.resolved.to_dict()


def test_cross_fitting_searches_with_detectors_of_other_folds(
    xrays, tmp_path, monkeypatch
):
    trained, made = [], []
    monkeypatch.setattr(disagreement, "train_all", lambda runs, _: trained.append(runs))
    monkeypatch.setattr(disagreement, "make_cross_targets", lambda *a: made.append(a))
    for plain in plan(tmp_path / "runs", folds=[1, 3], methods=["plain"]):
        disagreement.cross_fit(plain, 1, disagreement.KEPT)
    for fold, runs, (_, checkpoints, fold_of, _) in zip((1, 3), trained, made):
        assert list(checkpoints) == [other for other in range(5) if other != fold]
        assert [run.checkpoint for run in runs] == list(checkpoints.values())
        for other, run in zip(checkpoints, runs):
            file = run.resolved.train_dataloader.dataset.ann_file
            content = json.loads(Path(file).read_text())
            seen = {
                fold_of(dict(img_path=str(xrays / i["file_name"])))
                for i in content["images"]
            }
            assert seen == set(range(5)) - {fold, other}
    # The one without both serves both.
    assert trained[0][2] == trained[1][1]


def test_each_sample_is_searched_by_the_detector_without_its_fold(
    tmp_path, monkeypatch
):
    infos = [dict(fold=i % 3) for i in range(7)]
    samples = SimpleNamespace(dataset=infos, store="the store")
    searched, written = [], []

    def search(opened, folder, views, seed, rows):
        searched.append((folder.name, views, seed, rows, opened.args[1]))
        return [folder.name]

    for name, stand_in in dict(
        AugmentedSamples=lambda loader: samples,
        located_samples=lambda dataset: dataset,
        keyed_annotations=lambda located: [("key", info) for info in located],
        search_views=search,
        make_targets=lambda store, results, making: written.append((store, results)),
        write_targets=lambda path, store, made_by: path.write_text("{}"),
    ).items():
        monkeypatch.setattr(cross_targets, name, stand_in)
    config = Config(dict(train_dataloader=dict()))
    plain = SimpleNamespace(folder=tmp_path, resolved=config, seed=5, names=("x",))
    detectors = {0: Path("a"), 1: Path("b"), 2: Path("c")}
    for _ in range(2):  # what is there is not made again
        make = cross_targets.make_cross_targets
        make(plain, detectors, lambda info: info["fold"], views=8)
    assert searched == [
        ("fold0", 8, 5, [0, 3, 6], Path("a")),
        ("fold1", 8, 5, [1, 4], Path("b")),
        ("fold2", 8, 5, [2, 5], Path("c")),
    ]
    assert written == [("the store", ["fold0", "fold1", "fold2"])]


def test_errors_are_of_the_pictures_held_out(xrays, tmp_path, monkeypatch):
    plain, *_ = plan(tmp_path / "runs")
    asked = []

    def predict(model, image, box):
        asked.append((Path(image).name, box.tolist()))
        result = argparse.Namespace(pred_instances=argparse.Namespace())
        result.pred_instances.keypoints = points(1)[[int(Path(image).stem)]] + (0, 3)
        return [result]

    monkeypatch.setattr(disagreement, "init_model", lambda *args, **kwargs: None)
    monkeypatch.setattr(disagreement, "inference_topdown", predict)
    found = disagreement.errors_of(plain)
    box = [[0.0, 0.0, 9.0, 8.0]]
    assert asked == [("1.jpg", box), ("6.jpg", box)]
    assert found["groups"] == [1, 6]
    for against, percent in (("mean", 1.5), ("own", 1.5), ("other", 2.5)):
        np.testing.assert_allclose(found[against], [19 * percent] * 2)
        assert found[f"{against} seen"] == [19] * 2


def test_a_detector_predicts_in_the_pictures_asked_for(xrays, tmp_path, monkeypatch):
    plain, *_ = plan(tmp_path / "runs")
    opinions = disagreement.read_opinions(xrays, 2)
    opinions.boxes[:] = (20, 10, 150, 180)
    picture = np.random.default_rng(0).integers(0, 255, (200, 180, 3), np.uint8)
    assert cv2.imwrite(str(xrays / opinions.names[4]), picture)
    untrained = disagreement.init_model
    monkeypatch.setattr(
        disagreement,
        "init_model",
        lambda config, _, device: untrained(config, None, device),
    )
    found = disagreement.predict(plain.resolved, plain.checkpoint, opinions, [4])
    assert found.shape == (1, 19, 2) and np.isfinite(found).all()
    assert plain.resolved.get("test_dataloader") is None


def errors(groups, factor):
    sums = [factor * (1 + group) for group in groups]
    found = {"groups": groups}
    for name in disagreement.AGAINST:
        found |= {name: sums, f"{name} seen": [10] * len(groups)}
    return found


def test_the_interval_is_of_paired_differences():
    plain = [errors([0, 1, 2], 1.0), errors([3, 4], 1.0)]
    better = [errors([0, 1, 2], 0.9), errors([3, 4], 0.9)]
    whole, change, low, high = disagreement.compared(better, plain, "mean")
    assert whole == pytest.approx(0.27)
    # Pictures differ by far more than the methods do.
    assert (change, low, high) == pytest.approx((-10, -10, -10))


def test_the_table_compares_with_the_plain_run_of_the_same_seed(xrays, tmp_path):
    runs = plan(tmp_path / "runs", seeds=[0, 1])
    found = {run: errors([0, 1], 1 + 0.1 * (run.method == "ceiling")) for run in runs}
    text = disagreement.table(found)
    assert "| annotator 2 | plain | 2 | 0.150 |" in text
    assert "| annotator 2 | ceiling | 2 | 0.165 (+10.0 %, +10.0 to +10.0)" in text
    del found[runs[0]]
    assert "| annotator 2 | ceiling | 1 |" in disagreement.table(found)
