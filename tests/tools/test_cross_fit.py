"""tools/cross_fit.py as a user calls it, on a plain stock config."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.config import Config

from semamb_mm.pose.finished import fold_runs
from semamb_mm.pose.latent_targets import read_targets
from tests.tools.conftest import BODIES
from tests.tools.processes import train_folds_here
from tools import cross_fit

KEYS = [f"coco/{i:012d}.jpg#{i}" for i in range(1, BODIES + 1)]


@pytest.fixture(scope="module")
def fitted(stock_bodies, tmp_path_factory):
    """What two folds leave, trained in this process, which is quicker."""
    folder = tmp_path_factory.mktemp("cross_fit")
    commands = []

    def fit(*more):
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(stock_bodies.folder)
            train_folds_here(patch, commands)
            options = ["--folds", "2", "--views", "2", "--work-dir", str(folder)]
            out = ["--out", str(folder / "targets.npz")]
            cross_fit.main([stock_bodies.config, *options, *out, *more])
        return read_targets(folder / "targets.npz")

    fit("--relabel", str(folder / "relabelled"))
    return SimpleNamespace(folder=folder, fit=fit, commands=commands)


def test_help(capsys):
    with pytest.raises(SystemExit) as ended:
        cross_fit.main(["--help"])
    assert ended.value.code == 0 and "--group-key" in capsys.readouterr().out


def test_held_out_samples_are_searched_by_detectors_that_have_not_seen_them(fitted):
    saved = read_targets(fitted.folder / "targets.npz")
    assert saved.keys == KEYS and saved.counts.max() == 2
    searched = []
    for fold in range(2):
        run = fitted.folder / f"seed0_fold{fold}"
        plan = Config.fromfile(run / "planned/config.py")
        state = torch.load(run / "epoch_1.pth", weights_only=True)
        assert "latent_targets" not in state
        (found,) = (run / "found").glob("*/view0.npz")
        held_out = np.load(found)["indices"].tolist()
        trained = plan.train_dataloader.dataset.indices
        assert sorted([*held_out, *trained]) == list(range(BODIES))
        assert len(held_out) == BODIES // 2
        searched += held_out
    assert len(set(searched)) == BODIES


def test_finished_trainings_are_not_repeated_and_more_seeds_are_further_views(
    fitted,
):
    before = read_targets(fitted.folder / "targets.npz")
    done = len(fitted.commands)
    again = fitted.fit()
    assert len(fitted.commands) == done
    assert torch.equal(again.found, before.found)
    pooled = fitted.fit("--seeds", "2")
    assert len(fitted.commands) == done + 2
    assert pooled.counts.max() == 4
    assert pooled.spread.nan_to_num().sum() > before.spread.nan_to_num().sum()


def test_targets_are_written_as_annotations_too(fitted):
    (path,) = (fitted.folder / "relabelled").glob("*.json")
    content = json.loads(path.read_text())
    saved = read_targets(fitted.folder / "targets.npz")
    assert len(content["annotations"]) == BODIES
    for row, annotation in enumerate(content["annotations"]):
        points = np.reshape(annotation["keypoints"], (-1, 3))
        seen = points[:, 2] > 0
        targets = saved.targets[row].numpy()
        np.testing.assert_allclose(points[seen, :2], targets[seen], atol=2e-3)
        assert (points[~seen] == 0).all()


def test_other_folds_need_another_folder(fitted, tmp_path):
    groups = tmp_path / "groups.json"
    groups.write_text(json.dumps({key: int(key[-1]) % 3 for key in KEYS}))
    with pytest.raises(SystemExit, match="begun with another folds"):
        fitted.fit("--groups", str(groups))
    with pytest.raises(SystemExit, match="has no 'video'"):
        fitted.fit("--group-key", "video")


def test_a_training_that_fails_is_told_with_its_command(tmp_path, monkeypatch):
    config = Config(dict(default_hooks=dict(checkpoint=dict(type="CheckpointHook"))))
    run = fold_runs.FoldRun(tmp_path / "run", 3, config)
    failed = SimpleNamespace(returncode=1)
    commands = []
    processes = SimpleNamespace(run=lambda c, check: commands.append(c) or failed)
    monkeypatch.setattr(fold_runs, "subprocess", processes)
    with pytest.raises(SystemExit, match="failed; the command was: .*--nproc_per_node"):
        run.train(cross_fit.TRAIN, gpus=2)
    assert not run.finished
    planned = Config.fromfile(run.folder / "planned/config.py")
    assert planned.randomness.seed == 3
    assert planned.default_hooks.checkpoint.max_keep_ckpts == 1
    assert commands[0][-2:] == ["--launcher", "pytorch"]
