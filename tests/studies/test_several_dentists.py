"""studies/several_dentists.py: the runs, what they are trained on, the table."""

import numpy as np
import pytest
from mmengine.registry import init_default_scope
from mmpose.registry import DATASETS

from studies import disagreement, several_dentists

from .test_disagreement import errors, points, xrays  # noqa: F401


@pytest.fixture
def runs(xrays, tmp_path):  # noqa: F811
    args = ["--seeds", "3", "--folds", "1", "--work-dir", str(tmp_path / "runs")]
    return several_dentists.plan(several_dentists.parse_args(args))


def test_the_single_dentists_are_the_plain_runs_of_the_other_study(runs):
    for number, run in enumerate(list(runs)[:2], 1):
        assert isinstance(run, disagreement.Detector)
        assert run.names == (f"annotator {number}", "fold 1", "plain")


def test_all_see_as_many_samples_of_what_they_are_named_after(runs):
    init_default_scope("mmpose")
    seen = {}
    for run, method in list(runs.items())[2:]:
        dataset = DATASETS.build(run.resolved.train_dataloader.dataset)
        samples = [dataset.get_data_info(i) for i in range(len(dataset))]
        assert {sample["img_id"] for sample in samples} == {0, 2, 3, 4, 5, 7, 8, 9}
        seen[method] = len(samples) * run.epochs
        hooks = run.resolved.custom_hooks
        assert (hooks[-1].type == "LatentTargetHook") == (method == "consensus")
        if method in ("mean", "consensus"):
            mean = (points(0) + points(1)) / 2
            rows = [sample["img_id"] for sample in samples]
            labelled = np.setdiff1d(np.arange(19), 5)
            found = np.concatenate([sample["keypoints"] for sample in samples])
            # float32, and landmark 5 of picture 2 is the one's who has it.
            np.testing.assert_allclose(
                found[:, labelled], mean[rows][:, labelled], rtol=1e-6
            )
    assert len(set(seen.values())) == 1


def test_columns_are_the_same_dentists_in_every_row(runs, monkeypatch):
    kept = {"groups": [1]}
    for value, name in enumerate(disagreement.AGAINST):
        kept |= {name: [value], f"{name} seen": [19]}
    monkeypatch.setattr(several_dentists, "measured", lambda run, measure: kept)
    mean, own, other = range(3)
    first, second, *together = (several_dentists.figures(run) for run in runs)
    for figures, wanted in (
        (first, (own, other, mean)),
        (second, (other, own, mean)),
        *((figures, (own, other, mean)) for figures in together),
    ):
        assert [figures[name] for name in several_dentists.AGAINST] == [
            [value] for value in wanted
        ]


def test_the_table_compares_with_training_on_the_mean(runs):
    found = {}
    for run, method in runs.items():
        given = errors([0, 1], 0.9 if method == "consensus" else 1.0)
        renamed = dict(zip(disagreement.AGAINST, several_dentists.AGAINST))
        for old, new in renamed.items():
            given |= {new: given[old], f"{new} seen": given[f"{old} seen"]}
        found[run] = given
    text = several_dentists.table(found, runs)
    assert "| mean | 1 | 0.150 | 0.150 | 0.150 |" in text
    assert "| consensus | 1 | 0.135 (-10.0 %, -10.0 to -10.0)" in text
    assert "| second | 1 | 0.150 (+0.0 %, +0.0 to +0.0)" in text
